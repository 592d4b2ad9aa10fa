import type { SourceConfig } from '../contract/config-source.ts';
import { sourceNameOf } from '../contract/config-implied.ts';
import { failure } from '../kernel/errors/failure.ts';
import { Secret } from '../kernel/secret.ts';
import type { BackupSource } from '../operations/contract.ts';
import { backupPostgres } from '../sources/postgres-logical/backup.ts';
import type { App } from './compose.ts';
import { unknownSource } from './list.ts';
import { connectionOf, wantedDatabases } from './postgres-source.ts';

/** A source to back up, with its settings. */
export interface ChosenSource {
  readonly name: string;
  readonly config: SourceConfig;
}

/**
 * The sources meant: those named, or all, or the one of `--from`.
 * `source_unknown`, `source_none`, `source_url`, `not_in_this_version`.
 */
export function chooseSources(app: App, names: readonly string[], from: string | undefined): ChosenSource[] {
  if (from !== undefined) return [adHoc(from)];
  const all = app.config.sources;
  if (Object.keys(all).length === 0) throw nothingConfigured(app);
  if (names.length === 0) return Object.entries(all).map(([name, config]) => ({ name, config }));
  return [...new Set(names)].map((name) => {
    const config = Object.hasOwn(all, name) ? all[name] : undefined;
    if (config === undefined) throw unknownSource(name, Object.keys(all));
    return { name, config };
  });
}

/** Prepares a source without touching it. Throws what is wrong with its connection's settings. */
export async function prepareSource(app: App, { name, config }: ChosenSource): Promise<BackupSource> {
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
  return { name, kind: config.type, backup: (context) => backupPostgres(options, context) };
}

function adHoc(from: string): ChosenSource {
  const [, scheme] = /^(sqlite|files|pgdata):/.exec(from) ?? [];
  if (scheme !== undefined) {
    throw failure('not_in_this_version', {
      what: `--from ${scheme}:…`,
      suggestion: 'this version backs up PostgreSQL: --from postgres://user@host:5432/database',
    });
  }
  const name = sourceNameOf(from, '--from');
  const config: SourceConfig = {
    type: 'postgres',
    url: new Secret(from),
    connect_timeout: 10_000,
    lock_timeout: 60_000,
    jobs: 'auto',
    globals: true,
    tags: {},
  };
  return { name, config };
}

function nothingConfigured(app: App): Error {
  const url = app.env['DATABASE_URL'];
  if (url === undefined || url === '') return failure('source_none', {});
  const reason =
    /^[a-z][a-z0-9+.-]*:/i.exec(url) === null
      ? 'it does not parse'
      : `it begins with ${url.split(':', 1)[0]}:`;
  return failure('source_url', { setting: 'DATABASE_URL', reason });
}
