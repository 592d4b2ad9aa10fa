import { join } from 'node:path';
import type { AppContext } from '../../src/app/compose.ts';
import type { Machine } from '../../src/app/machine.ts';
import type { Observer } from '../../src/app/observer.ts';
import { ManualClock } from '../../testing/clock.ts';
import { silentProgress } from '../../testing/repository.ts';
import { tempDirectory, type TempDirectory } from '../../testing/temp.ts';

export interface TestMachine extends AsyncDisposable {
  readonly machine: Machine;
  readonly directory: TempDirectory;
  at(...names: string[]): string;
}

/** A machine with a home and a current directory of its own. */
export async function testMachine(env: Readonly<Record<string, string>> = {}): Promise<TestMachine> {
  const directory = await tempDirectory();
  const at = (...names: string[]): string => join(directory.path, ...names);
  const machine: Machine = {
    env,
    cwd: directory.path,
    home: at('home'),
    host: 'testhost',
    user: 'tester',
    uid: process.getuid?.(),
    clock: new ManualClock(),
  };
  return { machine, directory, at, [Symbol.asyncDispose]: () => directory[Symbol.asyncDispose]() };
}

/** Nobody sits there, unless `asker` says so, and nothing is shown. */
export function contextOf(
  { machine }: TestMachine,
  { asker = null, notice = () => {} }: Partial<Pick<AppContext, 'asker'> & Pick<Observer, 'notice'>> = {},
): AppContext {
  const observer = {
    notice,
    event: () => {},
    logLine: () => {},
    colour: false,
    progress: () => ({ ...silentProgress, [Symbol.dispose]: () => {} }),
  };
  return { machine, observer, asker, signal: new AbortController().signal, argv: [] };
}

export async function rejection(
  promise: Promise<unknown>,
): Promise<{ errorName?: string; message: string; hint?: string }> {
  return promise.then(
    () => {
      throw new Error('it did not reject');
    },
    (error: Error) => error as { errorName?: string; message: string; hint?: string },
  );
}
