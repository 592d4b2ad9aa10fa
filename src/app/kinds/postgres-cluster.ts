import { failure } from '../../kernel/errors/failure.ts';
import { backupCluster } from '../../sources/postgres-cluster/backup/backup.ts';
import { backupClusterByStream } from '../../sources/postgres-cluster/backup/stream/backup.ts';
import { planClusterRestore, runClusterRestore } from '../../sources/postgres-cluster/restore/restore.ts';
import { checkClusterSource } from './cluster-check.ts';
import { clusterRestoreOptions } from './cluster-restore.ts';
import { walAccess, walLeftOut } from './cluster-notes.ts';
import { planStart, startServer } from './cluster-start.ts';
import type { SourceKind } from './kind.ts';
import { connectionOf } from './postgres-source.ts';

/** PostgreSQL clusters, physically. */
export const clusterKind: SourceKind<'postgres-cluster'> = {
  async prepare(app, name, config) {
    const connection = await connectionOf(name, config, app.env);
    if (connection.password !== undefined) app.secrets.push(connection.password);
    const { data_directory: dataDirectory } = config;
    const shared = {
      connection,
      label: `holdfast ${name}`,
      fastCheckpoint: config.checkpoint === 'fast',
      now: () => app.machine.clock.now(),
    };
    const kind = 'postgres-cluster';
    if (dataDirectory === undefined) {
      const options = { ...shared, tempDirectory: app.directories.temp };
      return { name, kind, backup: (context) => backupClusterByStream(options, context) };
    }
    const options = { ...shared, dataDirectory, host: app.machine.host };
    return { name, kind, backup: (context) => backupCluster(options, context) };
  },
  check: checkClusterSource,

  async planRestore(app, manifest, wish, context) {
    const { recovery } = wish;
    if (recovery === null) throw failure('internal', { reason: 'no recovery was planned' });
    const { metadata } = recovery.plan.backup;
    const options = clusterRestoreOptions(app, manifest, wish, recovery);
    const start = recovery.wish.start
      ? await planStart(app, options.target, Math.floor(metadata.server_version_num / 10_000))
      : null;
    const owner = start?.owner ?? options.owner;
    const plan = await planClusterRestore({ ...options, owner }, context);
    const access = walAccess(app, plan.work.owner, start !== null, recovery);
    const summary = {
      ...plan.summary,
      warnings: [...recovery.plan.notes, ...plan.summary.warnings, ...access.warnings],
      notes: [...plan.summary.notes, ...access.notes, ...(await walLeftOut(recovery, app.signal))],
    };
    return {
      summary,
      needs: plan.needs,
      run: async (running) => {
        const restored = await runClusterRestore({ ...plan, summary }, running);
        if (start === null) return restored;
        running.progress.phase('the server recovers');
        const target = {
          directory: restored.target,
          port: metadata.port,
          recovery: summary.recovery,
          typedPassphrase: recovery.typedPassphrase,
        };
        return { ...restored, started: await startServer(app, start, target) };
      },
    };
  },
};
