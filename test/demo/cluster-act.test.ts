import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { playCluster } from '../../src/app/demo/cluster-act.ts';
import { Recovered } from '../../src/app/demo/recovered.ts';
import { openShop } from '../../src/app/demo/shop.ts';
import { setStage } from '../../src/app/demo/stage.ts';
import { Steps } from '../../src/app/demo/steps.ts';
import type { DemoEvent } from '../../src/app/demo/story.ts';
import { User } from '../../src/app/demo/user.ts';
import { systemMachine } from '../../src/app/machine.ts';
import { withoutPostgres } from '../../testing/postgres-server.ts';

const steps = ['wal_stream', 'cluster_backup', 'orders', 'drop', 'recovery', 'cluster_proof'] as const;

for (const step of steps) {
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
      const play = async (): Promise<void> => {
        await using stage = await setStage(context);
        await using recovered = new Recovered(stage);
        ({ directory } = stage);
        await openShop(stage.server);
        const user = new User(stage, {}, context);
        await user.init();
        const options = { stage, user, steps: new Steps(context, tell), recovered, tamper: false };
        await playCluster(options, context);
      };
      await assert.rejects(play());
      assert.deepEqual(told.slice(-1), [`step ${step}`]);
      assert.notEqual(directory, '');
      assert.equal(existsSync(directory), false);
      assert.deepEqual(await processesIn(directory), []);
    },
  );
}

function contextWith(signal: AbortSignal): Parameters<typeof setStage>[0] {
  const silent = { phase: () => {}, total: () => {}, advance: () => {}, stored: () => {} };
  return {
    machine: systemMachine(),
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
