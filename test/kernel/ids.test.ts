import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newBackupId, newKeyId, newRepositoryId } from '../../src/kernel/ids.ts';

test('ids have the promised shape and do not repeat', () => {
  const made = Array.from({ length: 1000 }, () => [newRepositoryId(), newBackupId(), newKeyId()]);
  for (const [repository, backup, key] of made) {
    assert.match(repository ?? '', /^[0-9a-f]{32}$/);
    assert.match(backup ?? '', /^[0-9a-f]{32}$/);
    assert.match(key ?? '', /^[0-9a-f]{16}$/);
  }
  assert.equal(new Set(made.flat()).size, 3000);
});
