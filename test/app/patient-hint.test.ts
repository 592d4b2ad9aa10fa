import assert from 'node:assert/strict';
import { test } from 'node:test';
import { patientHint } from '../../src/app/wal/patient-hint.ts';
import { catalogue } from '../../src/kernel/errors/catalogue.ts';

test('who tries again by itself does not tell others to', () => {
  assert.equal(patientHint('run the same command again; nothing is stored twice'), undefined);
  assert.equal(patientHint('see the log, then run the same command again'), 'see the log');
  assert.equal(patientHint('free some space and run the same command again; all is well'), 'free some space');
  assert.equal(patientHint('look at the disk'), 'look at the disk');
  for (const { hint } of Object.values(catalogue))
    assert.doesNotMatch(patientHint(hint) ?? '', /run the same command again|, *$| (and|then) *$/);
});
