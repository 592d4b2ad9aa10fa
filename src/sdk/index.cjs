'use strict';
// For require('holdfast'). Node before 20.19 cannot require an ES module at all: it is told here, not by a riddle.
const { versions } = process;
const [major, minor] = versions.node.split('.').map(Number);
if (major < 24 || (major === 24 && minor < 7)) {
  throw new Error(
    `HF-1007: Holdfast needs Node.js 24.7 or newer, and this is v${versions.node}; install it from https://nodejs.org and run the same program with it`,
  );
}
module.exports = require('./index.js');
