import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { ManualClock } from '../../testing/clock.ts';
import { runInProcess } from './in-process.ts';
import { sandbox, type Json, type Ran, type Sandbox } from './program-runner.ts';

export const hour = 3_600_000;
export const day = 24 * hour;

/** A repository of a directory's backups, and a clock that tests move. */
export interface Calendar extends AsyncDisposable {
  readonly box: Sandbox;
  readonly clock: ManualClock;
  run(...args: string[]): Promise<Ran>;
  /** A command that must succeed. */
  ok(...args: string[]): Promise<Ran>;
  /** One that must fail so, with a hint. */
  fails(exit: number, code: string, ...args: string[]): Promise<Ran>;
  /** Backs up at once and after each of these times; answers the ids. */
  backUp(times: readonly number[], ...args: string[]): Promise<string[]>;
  /** Ids of the backups that are there. */
  ids(): Promise<string[]>;
  configure(text: string): Promise<void>;
}

export const sources =
  'sources:\n  docs: { type: files, paths: [docs] }\n  notes: { type: files, paths: [docs] }\n';

export async function calendar(settings = ''): Promise<Calendar> {
  const box = await sandbox();
  const clock = new ManualClock(Date.UTC(2026, 9, 20, 1));
  const env = { TZ: 'UTC' };
  const run = async (...args: string[]): Promise<Ran> => await runInProcess(box, args, { env, clock });
  const ok = async (...args: string[]): Promise<Ran> => {
    const ran = await run(...args);
    assert.equal(ran.code, 0, `holdfast ${args.join(' ')}: ${ran.stderr}`);
    return ran;
  };
  const configure = async (text: string): Promise<void> =>
    await writeFile(box.at('holdfast.yaml'), `repository: ./store\ntimezone: Europe/Berlin\n${text}`);
  await mkdir(box.at('docs'));
  await writeFile(box.at('docs', 'one'), 'contents\n');
  await configure(`${sources}${settings}`);
  await ok('init', '--no-encryption');
  return {
    box,
    clock,
    run,
    ok,
    configure,
    fails: async (exit, code, ...args) => {
      const ran = await run(...args);
      assert.equal(ran.code, exit, `holdfast ${args.join(' ')}: ${ran.stderr}`);
      assert.match(ran.stderr, new RegExp(`error\\[${code}\\]: .+\\n(.*\\n)*hint: .+`));
      return ran;
    },
    backUp: async (times, ...args) => {
      const made: string[] = [];
      for (const time of [0, ...times]) {
        await clock.advance(time);
        const summary = (await ok('backup', 'docs', ...args, '--json')).lines().at(-1) ?? {};
        made.push(...(summary['backups'] as Json[]).map(({ id }) => String(id)));
      }
      return made;
    },
    ids: async () => ((await ok('list', '--json')).json()['backups'] as Json[]).map(({ id }) => String(id)),
    [Symbol.asyncDispose]: () => box[Symbol.asyncDispose](),
  };
}

export function planOf(ran: Ran): (readonly [string, string, readonly string[]])[] {
  return (ran.json()['plan'] as Json[]).map(
    ({ id, action, reasons }) => [String(id), String(action), reasons as string[]] as const,
  );
}
