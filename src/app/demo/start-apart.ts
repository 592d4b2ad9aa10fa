import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { failure } from '../../kernel/errors/failure.ts';
import { addToLsn } from '../../postgres/lsn.ts';
import { parseWalFileName, segmentName, segmentStart } from '../../postgres/wal/names.ts';
import type { RecoverySettings } from '../../sources/postgres-cluster/restore/options.ts';
import { startRestoredCluster, type Started } from '../../sources/postgres-cluster/restore/start.ts';
import { portFor } from '../kinds/cluster-start.ts';
import { canReach } from '../local-postgres/server-user.ts';
import type { WalGetResult } from '../wal/get.ts';
import { giveTo } from './give-to.ts';
import type { Stage } from './stage.ts';

const launcher = join(import.meta.dirname, '..', '..', '..', 'bin', 'holdfast');
/** As `initdb` has it. */
const segmentBytes = 16 * 1024 * 1024;

/** Whether the server of the stage could run `holdfast wal get` itself; not from a checkout below /root, for instance. */
export function canRunHoldfast({ server }: Stage): boolean {
  return canReach(launcher, server.user);
}

export interface ApartOptions {
  readonly stage: Stage;
  readonly directory: string;
  readonly recovery: RecoverySettings;
  readonly walGet: (name: string, path: string) => Promise<WalGetResult>;
  readonly signal: AbortSignal;
  readonly now: () => number;
}

/** Starts what was restored, with WAL that was fetched before by us. */
export async function startApart({ stage, directory, ...options }: ApartOptions): Promise<Started> {
  const { server, machine } = stage;
  const wal = join(stage.directory, 'wal');
  await mkdir(wal, { mode: 0o700 });
  const label = await readFile(join(directory, 'backup_label'), 'latin1');
  const first = /^START WAL LOCATION: .* \(file ([0-9A-F]{24})\)$/m.exec(label)?.[1] ?? '';
  for (const name of segmentsFrom(first)) {
    options.signal.throwIfAborted();
    const { found } = await options.walGet(name, join(wal, name));
    if (found !== 'whole') break;
  }
  if (server.user !== undefined) await giveTo(wal, server.user);
  return await startRestoredCluster({
    binDirectory: server.binDirectory,
    directory,
    log: `${directory}.log`,
    owner: server.user ?? null,
    recovery: options.recovery,
    settings: { port: String(await portFor(server.port)), restore_command: `cp '${wal}/%f' '%p'` },
    connection: null,
    environment: { PATH: machine.env['PATH'] ?? '/usr/bin:/bin', LC_ALL: 'C' },
    timeoutMs: 120_000,
    signal: options.signal,
    now: options.now,
  });
}

function* segmentsFrom(first: string): Generator<string> {
  const parsed = parseWalFileName(first);
  const start = parsed?.kind === 'segment' ? segmentStart(parsed, segmentBytes) : undefined;
  if (parsed === undefined || start === undefined)
    throw failure('internal', { reason: 'a backup label without a segment' });
  for (let at = start; ; at = addToLsn(at, segmentBytes))
    yield segmentName(parsed.timeline, at, segmentBytes);
}
