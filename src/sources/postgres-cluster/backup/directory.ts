import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { failure, reasonOf } from '../../../kernel/errors/failure.ts';
import { parseControlFile, type ControlFile } from '../../../postgres/control-file.ts';
import { parsePostmasterFile } from '../../../postgres/data-directory.ts';
import { formatLsn, type Lsn } from '../../../postgres/lsn.ts';
import type { ServerFacts } from './facts.ts';

/** The file is being written when it is read: that lasts moments. */
const attempts = 20;
const pauseMs = 20;
/** A server writes the one time when it begins to start and takes the other when it has shared memory. */
const startsWithinSeconds = 600;

export interface ControlRead {
  readonly bytes: Buffer;
  readonly control: ControlFile;
}

/** Reads `global/pg_control` until it is whole. `cluster_control_unreadable`, `cluster_directory_unreadable`. */
export async function readControlFile(dataDirectory: string, signal: AbortSignal): Promise<ControlRead> {
  const path = join(dataDirectory, 'global', 'pg_control');
  for (let attempt = 1; ; attempt += 1) {
    const bytes = await readOrRefuse(path);
    const control = parseControlFile(bytes);
    if (control !== undefined) return { bytes, control };
    if (attempt === attempts) throw failure('cluster_control_unreadable', { path });
    await delay(pauseMs, undefined, { signal });
  }
}

/**
 * Makes sure that the directory is that of the server at the connection: a standby has the same system identifier, a
 * copy of the directory even the same files, another container on another machine the same path.
 * `cluster_other_directory`, and what {@link readControlFile} rejects with.
 */
export async function checkDirectory(
  dataDirectory: string,
  facts: Pick<ServerFacts, 'systemIdentifier' | 'port' | 'startedAt'>,
  server: string,
  signal: AbortSignal,
): Promise<void> {
  const refuse = (reason: string): Error =>
    failure('cluster_other_directory', { directory: dataDirectory, server, reason });
  const { control } = await readControlFile(dataDirectory, signal);
  if (control.systemIdentifier !== facts.systemIdentifier) {
    throw refuse(
      `its system identifier is ${control.systemIdentifier}, that of the server ${facts.systemIdentifier}`,
    );
  }
  const text = await readFile(join(dataDirectory, 'postmaster.pid'), 'utf8').catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') throw refuse('no server runs on it');
    throw unreadable(join(dataDirectory, 'postmaster.pid'), error);
  });
  const running = parsePostmasterFile(text);
  if (running === undefined) throw refuse('its postmaster.pid is not as a server leaves it');
  const { port, startedAt } = running;
  if (port !== facts.port) throw refuse(`the server on it listens on port ${port}, not on ${facts.port}`);
  const later = facts.startedAt - startedAt;
  if (later < -1 || later > startsWithinSeconds) throw refuse('the server on it was started at another time');
}

/** The checkpoint of the backup has just been written to it, unless it is a copy. `cluster_other_directory`. */
export async function checkDirectoryFollows(
  dataDirectory: string,
  startLsn: Lsn,
  server: string,
  signal: AbortSignal,
): Promise<void> {
  const { control } = await readControlFile(dataDirectory, signal);
  if (control.redo >= startLsn) return;
  const reason = `its last checkpoint is at ${formatLsn(control.redo)}, and the backup begins at ${formatLsn(startLsn)}`;
  throw failure('cluster_other_directory', { directory: dataDirectory, server, reason });
}

async function readOrRefuse(path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (error) {
    throw unreadable(path, error);
  }
}

export function unreadable(path: string, error: unknown): Error {
  const { code } = error as NodeJS.ErrnoException;
  if (code === undefined) return error as Error;
  return failure('cluster_directory_unreadable', { path, reason: code }, { cause: error });
}

/** Why something could not be read, for a sentence. */
export function errnoOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? reasonOf(error);
}
