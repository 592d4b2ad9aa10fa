import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { runInProcess } from '../cli/in-process.ts';
import { sandbox, type Json } from '../cli/program-runner.ts';

test('what was missing from a backup is missing still when its export is imported, and is told', async () => {
  await using box = await sandbox();
  mkdirSync(box.at('tree'));
  writeFileSync(box.at('tree/file'), 'here');
  writeFileSync(
    box.at('holdfast.yaml'),
    `repository: ${box.at('r')}\nsources:\n  docs: { type: files, paths: [${box.at('tree')}, ${box.at('gone')}] }\n`,
  );
  const env = { HOLDFAST_PASSPHRASE: 'correct horse battery' };
  const last = async (code: number, ...args: string[]): Promise<Json> => {
    const ran = await runInProcess(box, [...args, '--json'], { env });
    assert.equal(ran.code, code, ran.stderr);
    return ran.lines().at(-1) ?? {};
  };
  await last(0, 'init');
  const [backup] = (await last(3, 'backup'))['backups'] as Json[];
  assert.match(String(backup?.['incomplete']), /gone/);
  await last(0, 'export', 'latest', '--to', box.at('out'));
  const archive = readdirSync(box.at('out')).find((name) => name.endsWith('.tar.gz')) ?? '';
  const [imported] = (await last(0, 'import', box.at('out', archive)))['backups'] as Json[];
  assert.equal(imported?.['incomplete'], backup?.['incomplete']);
  assert.match(JSON.stringify(imported?.['warnings']), /exported from a backup that is incomplete/);
});
