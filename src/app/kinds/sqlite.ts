import { backupSqlite, type SqliteBackupOptions } from '../../sources/sqlite/backup/backup.ts';
import { checkSqlite } from '../../sources/sqlite/backup/check.ts';
import { planSqliteRestore, runSqliteRestore } from '../../sources/sqlite/restore/restore.ts';
import type { App } from '../compose.ts';
import { randomHex } from '../random-hex.ts';
import type { ConfigOf, SourceKind } from './kind.ts';
import { onlyPaths, pathTarget } from './path-target.ts';

/** SQLite databases. */
export const sqliteKind: SourceKind<'sqlite'> = {
  prepare(app, name, config) {
    const options = optionsOf(app, config);
    return Promise.resolve({ name, kind: 'sqlite', backup: (context) => backupSqlite(options, context) });
  },

  check: (app, _name, config) => checkSqlite(optionsOf(app, config), app.signal),

  async planRestore(app, manifest, wish, context) {
    const { path, directory } = pathTarget(wish, app.machine, manifest);
    const options = {
      target: path,
      targetIsDirectory: directory,
      only: onlyPaths(wish.only, manifest),
      force: wish.force,
      check: wish.check,
      owner: wish.owner,
      randomHex,
      now: () => app.machine.clock.now(),
    };
    const plan = await planSqliteRestore(options, context);
    return {
      summary: plan.summary,
      needs: plan.needs,
      run: (running) => runSqliteRestore(plan, running),
    };
  },
};

function optionsOf(app: App, config: ConfigOf<'sqlite'>): SqliteBackupOptions {
  return {
    paths: config.paths,
    exclude: config.exclude,
    check: config.check,
    lockWaitMs: config.lock_timeout,
    temporaryDirectory: app.directories.temp,
    randomHex,
    host: app.machine.host,
    now: () => app.machine.clock.now(),
  };
}
