import { closeSync, constants, fchmodSync, fchownSync, fsync, openSync } from 'node:fs';
import { promisify } from 'node:util';
import { siblingModule } from '../../../kernel/module-url.ts';
import type { TaskContext, TaskModule } from '../../../pipeline/task.ts';
import type { Spot } from './areas.ts';
import { writeFailure } from './failure.ts';
import { locationOf } from './layout.ts';
import type { FileOwner } from './options.ts';

export interface SealInput {
  readonly target: string;
  readonly owner: FileOwner | null;
  readonly mode: number;
  /** What is in a directory before it. */
  readonly directories: readonly Spot[];
}

export const sealTask: TaskModule<SealInput, null> = {
  url: siblingModule(import.meta.url, './seal-task.ts'),
  exportName: 'sealDirectories',
};

const flush = promisify(fsync);
const atOnce = 64;
const { O_RDONLY, O_DIRECTORY } = constants;

/** Gives directories their owner and rights and makes the names in them durable. */
export async function sealDirectories(input: SealInput, context: TaskContext): Promise<null> {
  for (let from = 0; from < input.directories.length; from += atOnce) {
    context.signal.throwIfAborted();
    const some = input.directories.slice(from, from + atOnce);
    const results = await Promise.allSettled(some.map((directory) => seal(directory, input)));
    for (const [index, result] of results.entries())
      if (result.status === 'rejected')
        throw writeFailure(some[index]?.shown ?? input.target, result.reason, input.target);
  }
  return null;
}

async function seal({ base, relative }: Spot, { owner, mode }: SealInput): Promise<void> {
  const fd = openSync(locationOf(base, relative), O_RDONLY | O_DIRECTORY);
  try {
    if (owner !== null) fchownSync(fd, owner.uid, owner.gid);
    fchmodSync(fd, mode);
    await flush(fd);
  } finally {
    closeSync(fd);
  }
}
