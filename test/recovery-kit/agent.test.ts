import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { runInProcess } from '../cli/in-process.ts';
import { sandbox } from '../cli/program-runner.ts';
import { bareMachine } from './kit.ts';

const passphrase = 'correct horse battery staple';

/** With the indexes of the owner, which tell of an agent's packs, and with the packs alone. */
test('the kit restores what an agent has stored, with indexes and without', async () => {
  await using box = await sandbox();
  await using machine = await bareMachine();
  const owner = async (...args: string[]): Promise<void> => {
    const ran = await runInProcess(box, args, { env: { HOLDFAST_PASSPHRASE: passphrase } });
    assert.equal(ran.code, 0, ran.stderr);
  };
  mkdirSync(box.at('docs'));
  const text = 'of an agent\n'.repeat(50_000);
  writeFileSync(box.at('docs', 'one'), text);
  writeFileSync(
    box.at('holdfast.yaml'),
    'repository: ./r\nsources:\n  docs: { type: files, paths: [docs] }\n',
  );
  await owner('init');
  await owner('key', 'agent', '--out', 'agent.json');
  await owner('backup');
  writeFileSync(box.at('docs', 'two'), text.toUpperCase());
  const env = { HOLDFAST_ENCRYPTION_AGENT_FILE: box.at('agent.json') };
  const backup = await runInProcess(box, ['backup'], { env });
  assert.equal(backup.code, 0, backup.stderr);
  const restore = async (to: string): Promise<void> => {
    const checked = await machine.run(['check', box.at('r')], { passphrase });
    assert.equal(checked.code, 0, checked.stdout + checked.stderr);
    const ran = await machine.run(['restore', box.at('r'), 'latest', '--to', to], { passphrase });
    assert.equal(ran.code, 0, ran.stderr);
    const found = readdirSync(machine.at(to), { recursive: true })
      .map(String)
      .filter((name) => /one|two/.test(name));
    const contents = found.toSorted().map((name) => readFileSync(join(machine.at(to), name), 'utf8'));
    assert.deepEqual(contents, [text, text.toUpperCase()]);
  };
  assert.equal(readdirSync(box.at('r', 'index')).length, 1);
  await restore('without');
  await owner('prune');
  assert.equal(readdirSync(box.at('r', 'index')).length, 2);
  await restore('with');
  rmSync(box.at('r', 'holdfast.json'));
  await restore('guessed');
});
