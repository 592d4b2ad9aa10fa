import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { playCluster, type ClusterPlayed } from '../../src/app/demo/cluster-act.ts';
import { Recovered } from '../../src/app/demo/recovered.ts';
import { openShop } from '../../src/app/demo/shop.ts';
import { setStage, type Stage } from '../../src/app/demo/stage.ts';
import { Steps } from '../../src/app/demo/steps.ts';
import type { DemoEvent } from '../../src/app/demo/story.ts';
import { User } from '../../src/app/demo/user.ts';
import { systemMachine } from '../../src/app/machine.ts';
import { tempDirectory } from '../../testing/temp.ts';
import { until } from '../../testing/until.ts';
import { withoutPostgres } from '../../testing/postgres-server.ts';

const steps = ['wal_stream', 'cluster_backup', 'orders', 'drop', 'recovery', 'cluster_proof'] as const;
const isTrial = (process.env['HOLDFAST_TRIAL_STEPS'] ?? '') !== '';

// One of them a run, by chance; the title says which. HOLDFAST_TRIAL_STEPS=1 takes all.
for (const step of isTrial ? steps : chosen(1)) {
  test(
    `an interruption in the step ${step} leaves neither processes nor files`,
    { skip: withoutPostgres('system'), timeout: 120_000 },
    async () => {
      const interruption = new AbortController();
      const reason = new Error(`Ctrl-C in ${step}`);
      const context = contextWith(interruption.signal);
      const told: string[] = [];
      let directory = '';
      const tell = (event: DemoEvent): void => {
        if (event.type === 'demo') return;
        told.push(`${event.type} ${event.step}`);
        // While it is under way.
        if (event.type === 'step' && event.step === step) setImmediate(() => interruption.abort(reason));
      };
      await assert.rejects(
        play(context, tell, (stage) => {
          ({ directory } = stage);
        }),
      );
      assert.deepEqual(told.slice(-1), [`step ${step}`]);
      assert.notEqual(directory, '');
      assert.equal(existsSync(directory), false);
      await until(async () => (await processesIn(directory)).length === 0, 'all that it started ends');
    },
  );
}

function chosen(count: number): readonly string[] {
  const first = Math.floor(Math.random() * steps.length);
  return Array.from({ length: count }, (_, index) => steps[(first + 3 * index) % steps.length] ?? 'drop');
}

test(
  'the newest PostgreSQL comes back as well',
  { skip: withoutPostgres(18), timeout: 120_000 },
  async () => {
    await using box = await tempDirectory('holdfast-tools-');
    // The act needs no client tools, and the stage chooses the server by their version.
    for (const tool of ['pg_dump', 'pg_restore', 'psql'])
      await writeFile(join(box.path, tool), `#!/bin/sh\necho '${tool} (PostgreSQL) 18.0'\n`, { mode: 0o755 });
    const context = contextWith(new AbortController().signal, box.path);
    let major = 0;
    const { comparisons, backup } = await play(
      context,
      () => {},
      (stage) => {
        ({ major } = stage.server);
      },
    );
    assert.equal(major, 18);
    assert.equal(backup.kind, 'postgres-cluster');
    assert.deepEqual(
      comparisons.filter(({ equal }) => !equal),
      [],
    );
    assert.equal(comparisons.filter(({ what }) => what === 'listed order').length, 240);
  },
);

type Context = Parameters<typeof setStage>[0];

/** The second act alone, on a stage of its own. */
async function play(
  context: Context,
  tell: (event: DemoEvent) => void,
  look: (stage: Stage) => void,
): Promise<ClusterPlayed> {
  await using stage = await setStage(context);
  await using recovered = new Recovered(stage);
  look(stage);
  await openShop(stage.server);
  const user = new User(stage, {}, context);
  await user.init();
  const options = { stage, user, steps: new Steps(context, tell), recovered, tamper: false };
  return await playCluster(options, context);
}

function contextWith(signal: AbortSignal, programs?: string): Context {
  const silent = { phase: () => {}, total: () => {}, advance: () => {}, stored: () => {} };
  const machine = systemMachine();
  const path = [programs, machine.env['PATH']].filter((one) => one !== undefined).join(':');
  return {
    machine: { ...machine, env: { ...machine.env, PATH: path } },
    asker: null,
    signal,
    argv: ['demo'],
    observer: {
      colour: false,
      event: () => {},
      logLine: () => {},
      notice: () => {},
      progress: () => ({ ...silent, [Symbol.dispose]: () => {} }),
    },
  };
}

/** Command lines of processes that have to do with a directory, but for the shells that guard it. */
async function processesIn(directory: string): Promise<string[]> {
  const { stdout } = await promisify(execFile)('ps', ['-eo', 'args'], { maxBuffer: 16 * 2 ** 20 });
  return stdout.split('\n').filter((line) => line.includes(directory) && !line.startsWith('/bin/sh -c trap'));
}
