import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkWorkerUrls, rewriteWorkerUrls } from '../../scripts/worker-urls.ts';

const code = `
  new Worker(new URL('./worker.ts', import.meta.url));
  new URL("../a/task.ts", import.meta.url); new URL('./data.json', import.meta.url);
  new URL('./x.ts', base); siblingModule(import.meta.url, './sibling.ts');`;

test('the built package names compiled workers', () => {
  assert.equal(
    rewriteWorkerUrls(code),
    code.replace('./worker.ts', './worker.js').replace('../a/task.ts', '../a/task.js'),
  );
});

test('a worker that is not in the package is found', () => {
  const there = new Set(['./worker.js', '../a/task.js']);
  assert.deepEqual(
    checkWorkerUrls(rewriteWorkerUrls(code), (specifier) => there.has(specifier)),
    ['./data.json', './sibling.js'],
  );
});
