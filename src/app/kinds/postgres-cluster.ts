import { failure } from '../../kernel/errors/failure.ts';
import { backupCluster } from '../../sources/postgres-cluster/backup/backup.ts';
import { planClusterRestore, runClusterRestore } from '../../sources/postgres-cluster/restore/restore.ts';
import { checkClusterSource } from './cluster-check.ts';
import { clusterRestoreOptions } from './cluster-restore.ts';
import type { SourceKind } from './kind.ts';
import { connectionOf } from './postgres-source.ts';

/** PostgreSQL clusters, physically. */
export const clusterKind: SourceKind<'postgres-cluster'> = {
  async prepare(app, name, config) {
    const connection = await connectionOf(name, config, app.env);
    if (connection.password !== undefined) app.secrets.push(connection.password);
    const { data_directory: dataDirectory } = config;
    if (dataDirectory === undefined) throw notYet();
    const options = {
      connection,
      dataDirectory,
      label: `holdfast ${name}`,
      fastCheckpoint: config.checkpoint === 'fast',
      host: app.machine.host,
      now: () => app.machine.clock.now(),
    };
    return { name, kind: 'postgres-cluster', backup: (context) => backupCluster(options, context) };
  },
  check: checkClusterSource,

  async planRestore(app, manifest, wish, context) {
    if (wish.recovery === null) throw failure('internal', { reason: 'no recovery was planned' });
    const options = clusterRestoreOptions(app, manifest, wish, wish.recovery);
    const plan = await planClusterRestore(options, context);
    return {
      summary: plan.summary,
      needs: plan.needs,
      run: (running) => runClusterRestore(plan, running),
    };
  },
};

function notYet(): Error {
  return failure('not_in_this_version', {
    what: 'a backup of a cluster over the replication protocol',
    suggestion: 'name its data_directory',
  });
}
