import { failure } from '../../kernel/errors/failure.ts';
import type { PostgresTarget } from '../../operations/recovery/target-model.ts';
import type { RecoveryPlan } from '../../operations/recovery/target.ts';
import { formatMicroseconds } from '../../operations/recovery/words.ts';
import { formatLsn } from '../../postgres/lsn.ts';
import type {
  ClusterRestoreOptions,
  RecoverySettings,
  RecoveryTarget,
} from '../../sources/postgres-cluster/restore/options.ts';
import type { Manifest } from '../../contract/manifest.ts';
import type { App } from '../compose.ts';
import type { ClusterRecovery } from '../recovery.ts';
import { describeBackup } from './describe.ts';
import type { RestoreWish } from './kind.ts';
import { pathTarget } from './path-target.ts';

/** How to restore a cluster, out of what was asked for. Throws `usage`. */
export function clusterRestoreOptions(
  app: App,
  manifest: Manifest,
  wish: RestoreWish,
  { wish: cluster, plan, commands }: ClusterRecovery,
): ClusterRestoreOptions {
  const { path } = pathTarget(wish, app.machine, manifest);
  const odd = wish.only.length > 0 ? '--only' : wish.owner ? undefined : '--no-owner';
  if (odd !== undefined) {
    throw failure('usage', {
      reason: `${odd} has no meaning here: ${describeBackup(manifest)}`,
      suggestion: 'leave it out: a cluster is restored as a whole',
    });
  }
  return {
    target: path,
    backup: manifest.id,
    delta: cluster.delta,
    force: wish.force,
    tablespaces: cluster.tablespaces,
    recovery: recoverySettings(plan, cluster.action, commands.get),
    owner: null,
    keepArchiving: cluster.keepArchiving,
    now: () => app.machine.clock.now(),
  };
}

function recoverySettings(
  { target, timelineSetting, mustNotReadAhead }: RecoveryPlan,
  action: RecoverySettings['action'],
  restoreCommand: string,
): RecoverySettings {
  const isWord = timelineSetting === 'latest' || timelineSetting === 'current';
  return {
    restoreCommand,
    target: target === null ? null : targetSetting(target),
    timeline: isWord ? timelineSetting : Number(timelineSetting),
    // Where there is no target the end of the WAL is one, and the server opens by itself.
    action,
    mustNotReadAhead,
  };
}

function targetSetting(target: PostgresTarget): RecoveryTarget {
  const inclusive = 'inclusive' in target ? target.inclusive : true;
  return { kind: target.kind, value: valueOf(target), inclusive };
}

function valueOf(target: PostgresTarget): string {
  switch (target.kind) {
    case 'immediate':
      return '';
    case 'time':
      return `${formatMicroseconds(target.value)}+00`;
    case 'lsn':
      return formatLsn(target.value);
    case 'xid':
      return String(target.value);
    case 'name':
      return target.value;
  }
}
