'use strict';
// Preloaded by `npm test`: what a passphrase costs to guess is a quarter of all that tests would wait for. Keys are made
// with little of it, which is written into each, so that any process opens them. Opening is not touched.
const { registerHooks } = require('node:module');

const usual = 'memory_kib: 65_536, passes: 3, parallelism: 4';
const quick = 'memory_kib: 128, passes: 1, parallelism: 1';

registerHooks({
  load(url, context, next) {
    const loaded = next(url, context);
    if (!url.endsWith('/src/repository/key-object.ts')) return loaded;
    const source = String(loaded.source);
    if (!source.includes(usual)) throw new Error(`${url} has no cost of keys that could be lowered`);
    return { ...loaded, source: source.replace(usual, quick) };
  },
});
