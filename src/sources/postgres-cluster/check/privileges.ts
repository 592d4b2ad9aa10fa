import { failure } from '../../../kernel/errors/failure.ts';
import { quoteIdentifier } from '../../../postgres/names.ts';
import type { Finding } from '../../port.ts';
import { ok, warning, type Asked } from './question.ts';

/** What the user of the connection may call and see, beside replication. */
export async function privileges(asked: Asked): Promise<Finding[]> {
  return [...(await functions(asked)), ...(await settings(asked))];
}

/** Reading files in the data directory is begun and ended by functions. */
async function functions({ session, options, major }: Asked): Promise<Finding[]> {
  if (options.dataDirectory === undefined) return [];
  const check = 'privileges';
  const needed = [
    ...(major >= 15
      ? ['pg_backup_start(text, boolean)', 'pg_backup_stop(boolean)']
      : ['pg_start_backup(text, boolean, boolean)', 'pg_stop_backup(boolean, boolean)']),
    'pg_control_system()',
    'pg_control_init()',
    'pg_control_checkpoint()',
  ];
  const rows = await session.query<{ name: string }>(
    `SELECT name FROM pg_catalog.unnest($1::text[]) AS needed (name)
      WHERE NOT pg_catalog.has_function_privilege('pg_catalog.' || name, 'EXECUTE')`,
    [needed],
  );
  const { user, database } = session.parameters;
  if (rows.length === 0) return [ok(check, `${user} may start and end backups`)];
  const grants = rows.map(
    ({ name }) => `GRANT EXECUTE ON FUNCTION pg_catalog.${name} TO ${quoteIdentifier(user)};`,
  );
  const { message, hint, code } = failure('cluster_privileges', {
    server: session.setting.server,
    user,
    database,
    grants: grants.join(' '),
  });
  return [{ check, level: 'error', message, mend: hint, code }];
}

/** Configuration that lies beside the data directory goes into a backup when it is known where. */
async function settings({ session }: Asked): Promise<Finding[]> {
  const [row] = await session.query<{ may: boolean }>(
    `SELECT pg_catalog.pg_has_role('pg_read_all_settings', 'USAGE')
            AND pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE') AS may`,
  );
  if (row?.may !== false) return [];
  const { user } = session.parameters;
  const message = `${user} is not told where the configuration files are, which are left out of backups where they lie outside of the data directory, nor how far standbys are`;
  return [
    warning('monitoring', message, `as a superuser there: GRANT pg_monitor TO ${quoteIdentifier(user)};`),
  ];
}
