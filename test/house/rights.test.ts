import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { test } from 'node:test';
import { passesOverRights, withoutSuperRights } from '../../testing/privileges.ts';

/** Tests that root passes over, since it may read and write everything. */
const files = [
  'test/files/backup.test.ts',
  'test/sqlite/odd-files.test.ts',
  'test/sqlite/crash-remains.test.ts',
];
const names = ['may not be read', 'may not be written, for others'];

test(
  'root, too, tries what happens to others: with the rights of files in force',
  { timeout: 120_000 },
  (t) => {
    if (!passesOverRights()) return t.skip('rights are in force here: these tests run by themselves');
    const words = withoutSuperRights();
    if (words === undefined) return t.skip('setpriv cannot take rights away here');
    const [command = '', ...args] = words;
    const pattern = `--test-name-pattern=${names.join('|')}`;
    const program = [
      process.execPath,
      '--disable-warning=ExperimentalWarning',
      '--test',
      '--test-reporter=tap',
    ];
    const ran = spawnSync(command, [...args, ...program, pattern, ...files], {
      cwd: fileURLToPath(new URL('../..', import.meta.url)),
      encoding: 'utf8',
      env: { ...process.env, NODE_TEST_CONTEXT: undefined },
    });
    const count = (what: string): number =>
      Number(new RegExp(`^# ${what} (\\d+)$`, 'm').exec(ran.stdout)?.[1]);
    assert.deepEqual(
      [ran.status, count('pass') >= 3, count('skipped')],
      [0, true, 0],
      ran.stdout + ran.stderr,
    );
  },
);
