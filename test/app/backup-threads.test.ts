import assert from 'node:assert/strict';
import { test } from 'node:test';
import { shareThreads } from '../../src/app/backup-threads.ts';

const MiB = 1024 * 1024;

test('sources read at once share the jobs, and have two each even where there are few', () => {
  const auto = ['auto', 'auto', 'auto'] as const;
  assert.deepEqual(shareThreads({ jobs: 6, lanes: 2, ownJobs: auto }).jobs, [3, 3, 3]);
  assert.deepEqual(shareThreads({ jobs: 2, lanes: 2, ownJobs: auto }).jobs, [2, 2, 2]);
  assert.deepEqual(shareThreads({ jobs: 1, lanes: 2, ownJobs: auto }).jobs, [1, 1, 1]);
  assert.deepEqual(shareThreads({ jobs: 6, lanes: 1, ownJobs: ['auto'] }).jobs, [6]);
});

test("a source's own jobs hold, above those of all, too", () => {
  const shared = shareThreads({ jobs: 2, lanes: 2, ownJobs: ['auto', 5, 1] });
  assert.deepEqual(shared.jobs, [2, 5, 1]);
  assert.equal(shared.permits, 5);
});

test('packs are smaller where many threads fill them', () => {
  assert.equal(shareThreads({ jobs: 2, lanes: 2, ownJobs: ['auto', 'auto'] }).packBytes, 16 * MiB);
  assert.equal(shareThreads({ jobs: 6, lanes: 1, ownJobs: ['auto'] }).packBytes, 8 * MiB);
});
