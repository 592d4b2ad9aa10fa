import type { Manifest } from '../contract/manifest.ts';
import { failure, isFailure } from '../kernel/errors/failure.ts';
import { ArchiveView } from '../operations/recovery/archive-view.ts';
import { clusterBackups, clusterKind } from '../operations/recovery/backups.ts';
import type { FindArchive } from '../operations/recovery/candidates.ts';
import { resolveTarget, type RecoveryPlan } from '../operations/recovery/target.ts';
import type { Secret } from '../kernel/secret.ts';
import type { Repository } from '../repository/repository.ts';
import type { Progress } from '../sources/port.ts';
import type { App } from './compose.ts';
import { describeBackup } from './kinds/describe.ts';
import type { FoundPassphrase } from './passphrase.ts';
import { clusterWish, recoveryFlagGiven, type ClusterWish, type RecoveryOptions } from './recovery-wish.ts';
import { serverCommands, type ServerCommands } from './wal/server-commands.ts';

/** A recovery of a cluster, worked out. */
export interface ClusterRecovery {
  readonly wish: ClusterWish;
  readonly plan: RecoveryPlan;
  readonly commands: ServerCommands;
  /** That was typed: nobody else could tell it to a server that is started. Null when it stands somewhere. */
  readonly typedPassphrase: Secret | null;
}

export interface RecoveryRequest {
  /** As it was given: `latest:main` leaves the choice of the backup to us. */
  readonly reference: string;
  /** What the reference leads to. */
  readonly manifest: Manifest;
  readonly options: RecoveryOptions;
  readonly repository: Repository;
  readonly found: FoundPassphrase | undefined;
  readonly progress: Progress;
}

/**
 * The backup to restore, and how its cluster is to recover; the recovery is null for anything but a cluster. Changes nothing.
 * `usage` for options that mean nothing for this backup, and what `resolveTarget` throws.
 */
export async function chooseRecovery(
  app: App,
  request: RecoveryRequest,
): Promise<{ readonly manifest: Manifest; readonly recovery: ClusterRecovery | null }> {
  const { manifest, options, repository, found, progress } = request;
  if (manifest.source.kind !== clusterKind) {
    const flag = recoveryFlagGiven(options);
    if (flag === undefined) return { manifest, recovery: null };
    const reason = `${flag} is for a PostgreSQL cluster, and ${describeBackup(manifest)}`;
    throw failure('usage', { reason, suggestion: `leave ${flag} out, or name a backup of a cluster` });
  }
  const wish = clusterWish(options, app.machine);
  progress.phase('looking how far the WAL goes');
  const manifests = await manifestsOf(repository, manifest, app.signal);
  const choosesItself = request.reference.startsWith('latest');
  const plan = await resolveTarget(
    { backup: choosesItself ? null : manifest.id, target: wish.target, timeline: wish.timeline },
    clusterBackups(manifests),
    archiveFinder(repository, app.signal),
    { signal: app.signal },
  );
  const chosen = manifests.find(({ id }) => id === plan.backup.id);
  if (chosen === undefined) throw failure('internal', { reason: 'a backup nobody has' });
  const commands = serverCommands(app, manifest.source.name, repository.storage.location, found);
  const typedPassphrase = found?.source === 'terminal' ? found.secret : null;
  return { manifest: chosen, recovery: { wish, plan, commands, typedPassphrase } };
}

/** Backups of a source whose manifests can be read: `verify` names the others. */
export async function manifestsOf(
  repository: Repository,
  { source }: Pick<Manifest, 'source'>,
  signal: AbortSignal,
): Promise<readonly Manifest[]> {
  const found: Manifest[] = [];
  for (const name of await repository.names({ signal })) {
    try {
      const manifest = await repository.manifest(name, { signal });
      if (manifest.source.name === source.name && manifest.source.kind === source.kind) found.push(manifest);
    } catch (error) {
      if (!isFailure(error, 'object_damaged') && !isFailure(error, 'backup_unknown')) throw error;
    }
  }
  return found;
}

/** Looks archives up by their ids, each once. */
export function archiveFinder(repository: Repository, signal: AbortSignal): FindArchive {
  const views = new Map<string, Promise<ArchiveView | undefined>>();
  return async (id) => {
    let view = views.get(id);
    if (view === undefined) {
      view = repository
        .findWalArchive(id, { signal })
        .then((archive) => (archive === undefined ? undefined : ArchiveView.of(archive, { signal })));
      views.set(id, view);
    }
    return await view;
  };
}
