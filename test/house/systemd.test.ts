import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { tempDirectory } from '../../testing/temp.ts';

const page = await readFile(new URL('../../docs/operations.md', import.meta.url), 'utf8');
const units = new Map(
  [...page.matchAll(/`\/etc\/systemd\/system\/([\w-]+\.\w+)`[^`]*```ini\n(.*?)```/gs)].map(
    ([, name = '', text = '']) => [name, text],
  ),
);

test('the units of the operations page are there, and a backup that is not whole keeps nothing from the check', () => {
  assert.deepEqual([...units.keys()].toSorted(), [
    'holdfast-verify.service',
    'holdfast-verify.timer',
    'holdfast.service',
    'holdfast.timer',
  ]);
  const backup = units.get('holdfast.service') ?? '';
  // After a main command that ends with 3 these would not run.
  assert.doesNotMatch(backup, /ExecStartPost/);
  assert.match(backup, /^AmbientCapabilities=CAP_DAC_READ_SEARCH$/m);
});

test('systemd understands them', async (context) => {
  if (spawnSync('systemd-analyze', ['--version']).status !== 0)
    return context.skip('there is no systemd-analyze (apt install systemd)');
  await using directory = await tempDirectory();
  const paths = [...units.keys()].map((name) => join(directory.path, name));
  for (const [name, text] of units)
    // The program need not be installed here.
    await writeFile(join(directory.path, name), text.replaceAll('/usr/local/bin/holdfast', '/bin/true'));
  const { status, stderr } = spawnSync('systemd-analyze', ['verify', '--man=no', ...paths], {
    encoding: 'utf8',
  });
  const ours = stderr.split('\n').filter((line) => line.includes(directory.path));
  assert.deepEqual([ours, status], [[], 0], stderr);
});
