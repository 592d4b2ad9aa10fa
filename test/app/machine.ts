import { join } from 'node:path';
import type { Machine } from '../../src/app/machine.ts';
import { ManualClock } from '../../testing/clock.ts';
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
