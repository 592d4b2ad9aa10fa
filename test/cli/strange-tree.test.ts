import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { differences, listTree, makeStrangeTree } from '../../testing/strange-tree.ts';
import { sandbox, type Json } from './program-runner.ts';

/** HOLDFAST_TRIAL_FILES=100000 for the full trial, with a million more in one directory and 10 GB of holes. */
const files = Number(process.env['HOLDFAST_TRIAL_FILES'] ?? 1500);
const seed = Number(process.env['HOLDFAST_SEED'] ?? Date.now() % 1_000_000);
const options = { files, crowd: files * 10, hollowBytes: files * 100_000, seed };
const tools = ['rsync', 'find', 'sha256sum'].filter(
  (tool) => spawnSync(tool, ['--version']).error !== undefined,
);

test(
  `a tree of ${files} strange files comes back as it was, and is not read again while nothing changes (seed ${seed})`,
  { skip: tools.length > 0 && `without ${tools.join(', ')}`, timeout: 3_600_000 },
  async (t) => {
    await using box = await sandbox();
    const env = { HOLDFAST_PASSPHRASE: 'correct horse battery', HOLDFAST_REPOSITORY: box.at('repo') };
    const holdfast = async (...args: string[]): Promise<Json> => {
      const startedAt = performance.now();
      const ran = await box.run([...args, '--json'], { env, limitMs: 1_800_000 });
      assert.equal(ran.code, 0, `${args.join(' ')}: ${ran.stdout.slice(-3000)}${ran.stderr.slice(-3000)}`);
      t.diagnostic(`${args[0]}: ${((performance.now() - startedAt) / 1000).toFixed(1)} s`);
      return ran.lines().at(-1) ?? {};
    };
    const [original, copy] = [box.at('tree'), box.at('copy')];
    await using _ = {
      // Directories that cannot be written to cannot be emptied.
      [Symbol.asyncDispose]: async () => void spawnSync('chmod', ['-R', 'u+rwX', original, copy]),
    };
    makeStrangeTree(original, options);
    await holdfast('init');
    // What was touched a moment ago is read again, for its time cannot tell whether it was touched once more.
    await delay(3000);
    const [first] = (await holdfast('backup', '--from', `files:${original}`))['backups'] as Json[];
    const [second] = (await holdfast('backup', '--from', `files:${original}`))['backups'] as Json[];
    t.diagnostic(`first: ${first?.['bytes_read']} bytes read, ${first?.['bytes_added']} stored`);
    t.diagnostic(`second: ${second?.['bytes_read']} bytes read, ${second?.['bytes_added']} stored`);
    assert.deepEqual([second?.['bytes_read'], second?.['incomplete']], [0, null]);
    await holdfast('restore', 'latest', '--to', copy);
    assert.equal(differences(original, copy), '');
    assert.equal(listTree(copy), listTree(original));
    const blocks = (path: string) => Number(spawnSync('du', ['-s', path]).stdout.toString().split('\t')[0]);
    assert.ok(blocks(copy) < blocks(original) * 1.1 + 1000, `${blocks(copy)} KiB for ${blocks(original)}`);
    await holdfast('verify', '--read-data');
  },
);
