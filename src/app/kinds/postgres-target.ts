import { failure } from '../../kernel/errors/failure.ts';
import { parseConnectionUrl } from '../../postgres/connection/connection-url.ts';
import {
  connectionFromUrl,
  describeServer,
  type ConnectionParameters,
} from '../../postgres/connection/connection.ts';
import type { Selector } from '../../sources/postgres-logical/restore-options.ts';
import { checkTargetName } from '../../sources/postgres-logical/restore-target.ts';
import { describeBackup, type Described } from './describe.ts';

/**
 * Where `--to` points. Throws `usage` for what is no database, `postgres_url` for a URL that does not parse,
 * `postgres_restore_target` for one that names no database, or one that is not for a restore.
 */
export function restoreTarget(
  to: string,
  env: Readonly<Record<string, string | undefined>>,
  manifest: Described,
): ConnectionParameters {
  if (/^postgres(?:ql)?:\/\//i.test(to)) {
    const target = connectionFromUrl(to, env);
    // A database that PGDATABASE or a default names was not chosen for this: it may be any, and it is written to.
    if ((parseConnectionUrl(to)['dbname'] ?? '') === '') {
      const reason = 'it does not say which database';
      throw failure('postgres_restore_target', { target: describeServer(target), reason });
    }
    checkTargetName(target.database);
    return target;
  }
  throw failure('usage', {
    reason: `${describeBackup(manifest)}, and --to names ${/^[a-z]{2,}:/i.test(to) ? 'no database' : 'a path'}`,
    suggestion:
      'a backup of PostgreSQL goes to postgres://user@host:5432/database; one of SQLite or files is named by its source: latest:SOURCE',
  });
}

export interface Only {
  readonly selectors: readonly Selector[];
  /** Which database of the backup. */
  readonly database: string | undefined;
}

/** Reads `--only`: `table=schema.name`, `table=name`, `schema=name`, `database=name`. Throws `usage`. */
export function parseOnly(only: readonly string[], manifest: Described): Only {
  const selectors: Selector[] = [];
  let database: string | undefined;
  for (const text of only) {
    const at = text.indexOf('=');
    const kind = text.slice(0, Math.max(at, 0));
    const name = text.slice(at + 1);
    const unusable = (): Error => unknownSelector(text, manifest);
    if (name === '' || at < 1) throw unusable();
    if (kind === 'table') {
      const selector = tableSelector(name);
      if (selector === undefined) throw unusable();
      selectors.push(selector);
    } else if (kind === 'schema') selectors.push({ kind: 'schema', schema: unquoted(name) });
    else if (kind === 'database' && database === undefined) database = unquoted(name);
    else if (kind === 'path') {
      throw failure('not_in_this_version', {
        what: '--only path=…',
        suggestion: 'use table=schema.name or schema=name',
      });
    } else throw unusable();
  }
  return { selectors, database };
}

/** As SQL writes names: a dot between schema and table, double quotes around a name that has one in it. */
function tableSelector(name: string): Selector | undefined {
  const parts = name.match(/^(?:("(?:[^"]|"")+"|[^."]+)\.)?("(?:[^"]|"")+"|[^."]+)$/);
  if (parts === null) return undefined;
  const [, schema, table = ''] = parts;
  return {
    kind: 'table',
    schema: schema === undefined ? undefined : unquoted(schema),
    table: unquoted(table),
  };
}

function unquoted(name: string): string {
  return name.startsWith('"') && name.endsWith('"') ? name.slice(1, -1).replaceAll('""', '"') : name;
}

function unknownSelector(text: string, manifest: Described): Error {
  const meant = text === '' || text.includes('=') ? '' : `did you mean table=${text}? `;
  return failure('usage', {
    reason: `--only does not know ${text}: ${describeBackup(manifest)}`,
    suggestion: `${meant}Write --only table=schema.name, --only schema=name or --only database=name`,
  });
}
