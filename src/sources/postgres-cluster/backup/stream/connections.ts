import type { ConnectionParameters } from '../../../../postgres/connection/connection.ts';
import { describeServer } from '../../../../postgres/connection/connection.ts';
import { openReplication, type Replication } from '../../../../postgres/replication/replication.ts';
import { failure } from '../../../../kernel/errors/failure.ts';
import type { Logger } from '../../../../kernel/log.ts';
import { readStreamFacts, type StreamFacts } from './facts.ts';
import { keepWal } from './wal-receiver.ts';

/** Not the name under which WAL is streamed all the time: nobody shall take one for the other. */
const applicationName = 'holdfast_backup';

/** The two connections of a backup: one gives the files, the other the WAL that is written meanwhile. */
export interface BackupLinks extends AsyncDisposable {
  readonly files: Replication;
  readonly wal: Replication;
  /** The temporary slot that keeps the WAL; undefined when there was none to be had. */
  readonly slot: string | undefined;
  /** To the very server of both. */
  readonly here: ConnectionParameters;
  readonly server: string;
  readonly facts: StreamFacts;
}

export interface LinkOptions {
  readonly connection: ConnectionParameters;
  readonly now: () => number;
  readonly signal: AbortSignal;
  readonly log: Logger;
}

/** Rejects as {@link openReplication} does, and with `cluster_version`, `cluster_wal_level`. */
export async function openLinks({ connection, now, signal, log }: LinkOptions): Promise<BackupLinks> {
  await using stack = new AsyncDisposableStack();
  const how = { clock: { now }, applicationName };
  const files = stack.use(await openReplication(connection, signal, how));
  const here: ConnectionParameters = {
    ...connection,
    hosts: [files.host],
    targetSessionAttributes: 'any',
  };
  const server = describeServer(here);
  const facts = await readStreamFacts(files, server);
  const wal = stack.use(await openReplication(here, signal, how));
  const { systemIdentifier } = await wal.identifySystem();
  if (systemIdentifier !== facts.systemIdentifier) {
    const reason = 'two connections led to two clusters';
    throw failure('replication_protocol', { server, reason });
  }
  const slot = await keepWal(wal, log);
  const all = stack.move();
  return { files, wal, slot, here, server, facts, [Symbol.asyncDispose]: () => all.disposeAsync() };
}
