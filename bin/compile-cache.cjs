'use strict';
// Preloaded by bin/holdfast, and by Node itself in every worker thread: what Node has compiled is kept for the next
// start, which then takes half the time. NODE_COMPILE_CACHE names another place, NODE_DISABLE_COMPILE_CACHE ends it.
const { existsSync, lstatSync, mkdirSync, statSync } = require('node:fs');
const { enableCompileCache } = require('node:module');
const { homedir } = require('node:os');
const { isAbsolute, join } = require('node:path');

const { XDG_CACHE_HOME, NODE_COMPILE_CACHE, NODE_DISABLE_COMPILE_CACHE } = process.env;

/** Whether nobody else can change what is in there: compiled code is run as it is found. */
function isOurs({ uid, mode }) {
  return process.getuid === undefined || (uid === process.getuid() && (mode & 0o022) === 0);
}

function enable() {
  const named = XDG_CACHE_HOME !== undefined && isAbsolute(XDG_CACHE_HOME);
  const base = named ? XDG_CACHE_HOME : homedir();
  // Not in the home directory of somebody else, as after a sudo that keeps HOME.
  if (!isAbsolute(base) || !isOurs(statSync(base))) return;
  let directory = base;
  for (const name of [...(named ? [] : ['.cache']), 'holdfast', 'compiled']) {
    directory = join(directory, name);
    if (!existsSync(directory)) mkdirSync(directory, 0o700);
  }
  if (isOurs(lstatSync(directory))) enableCompileCache(directory);
}

if (NODE_COMPILE_CACHE === undefined && NODE_DISABLE_COMPILE_CACHE === undefined) {
  try {
    enable();
  } catch {
    // No place for it: everything works, only starting takes longer.
  }
}
