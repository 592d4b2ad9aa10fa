import type { Manifest } from '../../contract/manifest.ts';
import { backupPostgres } from '../../sources/postgres-logical/backup.ts';
import { checkPostgres } from '../../sources/postgres-logical/check.ts';
import type { PostgresRestoreOptions } from '../../sources/postgres-logical/restore-options.ts';
import { planRestore } from '../../sources/postgres-logical/restore-plan.ts';
import { entriesNeeded, runRestore } from '../../sources/postgres-logical/restore.ts';
import type { App } from '../compose.ts';
import { randomHex } from '../random-hex.ts';
import type { RestoreWish, SourceKind } from './kind.ts';
import { connectionOf, wantedDatabases } from './postgres-source.ts';
import { parseOnly, restoreTarget } from './postgres-target.ts';

/** PostgreSQL, logically. */
export const postgresKind: SourceKind<'postgres'> = {
  async prepare(app, name, config) {
    const connection = await connectionOf(name, config, app.env);
    if (connection.password !== undefined) app.secrets.push(connection.password);
    const options = {
      connection,
      databases: wantedDatabases(config),
      globals: config.globals,
      toolsDirectory: config.client_bin,
      lockWaitMs: config.lock_timeout,
      env: app.env,
    };
    return { name, kind: 'postgres', backup: (context) => backupPostgres(options, context) };
  },

  async check(app, name, config) {
    const connection = await connectionOf(name, config, app.env);
    if (connection.password !== undefined) app.secrets.push(connection.password);
    const databases = wantedDatabases(config);
    const { globals, client_bin: toolsDirectory } = config;
    const options = { connection, databases, globals, env: app.env, toolsDirectory };
    return await checkPostgres(options, app.signal);
  },

  async planRestore(app, manifest, wish, context) {
    const config = app.config.sources[manifest.source.name];
    const toolsDirectory = config?.type === 'postgres' ? config.client_bin : undefined;
    const plan = await planRestore({ ...optionsOf(app, manifest, wish), toolsDirectory }, context);
    const nowNs = (): bigint => app.machine.clock.monotonicNs();
    return {
      summary: plan.summary,
      needs: entriesNeeded(plan),
      run: (running) => runRestore(plan, running, nowNs),
    };
  },
};

function optionsOf(app: App, manifest: Manifest, wish: RestoreWish): PostgresRestoreOptions {
  const target = restoreTarget(wish.to, app.env, manifest);
  if (target.password !== undefined) app.secrets.push(target.password);
  const { selectors, database } = parseOnly(wish.only, manifest);
  return {
    target,
    database,
    only: selectors,
    noOwner: !wish.owner,
    noPrivileges: !wish.privileges,
    globals: wish.globals,
    check: wish.check,
    force: wish.force,
    temporaryDirectory: app.directories.temp,
    randomHex,
    env: app.env,
  };
}
