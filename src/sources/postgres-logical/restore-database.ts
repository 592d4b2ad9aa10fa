import { failure, isFailure } from '../../kernel/errors/failure.ts';
import { isAboutDatabase } from './archive/phases.ts';
import type { ArchiveToc } from './archive/toc.ts';
import { withDatabase, type ConnectionParameters } from '../../postgres/connection/connection.ts';
import type { DatabaseMetadata } from './metadata.ts';
import type { ScriptDatabase } from './script-metadata.ts';
import { quoteIdentifier, quoteLiteral } from '../../postgres/names.ts';
import { mayActAs, missingRoles, missingTablespaces } from './restore-target.ts';
import { openSession, type Session } from '../../postgres/connection/session.ts';
import { splitStatements, withDatabaseName } from './sql-statements.ts';

/** Makes an empty database as the backed up one was made. Throws `postgres_restore_locale`, `postgres_restore_create`. */
export async function createDatabase(
  session: Session,
  name: string,
  like: Omit<ScriptDatabase, 'owner'>,
): Promise<void> {
  const clauses = [
    'TEMPLATE template0',
    `ENCODING ${quoteLiteral(like.encoding)}`,
    `LC_COLLATE ${quoteLiteral(like.collate)}`,
    `LC_CTYPE ${quoteLiteral(like.ctype)}`,
  ];
  // The default one goes without saying; naming it takes a right that a role with CREATEDB lacks.
  if (like.tablespace !== 'pg_default' && (await missingTablespaces(session, [like.tablespace])).length === 0)
    clauses.push(`TABLESPACE ${quoteIdentifier(like.tablespace)}`);
  if (session.serverVersionNumber >= 150_000) {
    const { locale_provider: provider, locale, icu_rules: rules } = like;
    if (provider === 'i') clauses.push('LOCALE_PROVIDER icu', `ICU_LOCALE ${quoteLiteral(locale ?? '')}`);
    else if (provider === 'b')
      clauses.push('LOCALE_PROVIDER builtin', `BUILTIN_LOCALE ${quoteLiteral(locale ?? '')}`);
    else clauses.push('LOCALE_PROVIDER libc');
    if (rules !== null && session.serverVersionNumber >= 160_000)
      clauses.push(`ICU_RULES ${quoteLiteral(rules)}`);
  }
  try {
    await session.query(`CREATE DATABASE ${quoteIdentifier(name)} ${clauses.join(' ')}`);
  } catch (error) {
    if (
      isFailure(error, 'postgres_query_failed') &&
      /locale|encoding|collation|provider|ICU/i.test(error.message)
    ) {
      throw failure(
        'postgres_restore_locale',
        { database: like.name, server: session.setting.server, reason: error.message },
        { cause: error },
      );
    }
    if (isFailure(error, 'postgres_permission')) {
      const { user, server } = session.setting;
      throw failure(
        'postgres_restore_create',
        { user, server, reason: error.message, role: quoteIdentifier(user) },
        { cause: error },
      );
    }
    throw error;
  }
}

/**
 * Gives a new database to the owner of the backed up one before it is filled: on PostgreSQL 15 and newer that is who may
 * make objects in the schema public, and a role that is given one there needs this right. It is put off, and becomes a
 * warning in the end, where this user could not work on the database any more or cannot give it away.
 */
export async function giveToOwner(session: Session, name: string, owner: string): Promise<void> {
  if (!(await mayActAs(session, owner))) return;
  await session.query(`ALTER DATABASE ${quoteIdentifier(name)} OWNER TO ${quoteIdentifier(owner)}`);
}

/**
 * Drops a database that a restore had made, together with connections that are still open to it.
 * A subscription in it would hold it back, so those are let go first (they were never enabled).
 */
export async function dropDatabase(maintenance: Session, name: string, signal: AbortSignal): Promise<void> {
  const drop = `DROP DATABASE IF EXISTS ${quoteIdentifier(name)} WITH (FORCE)`;
  try {
    await maintenance.query(drop);
  } catch (error) {
    if (!isFailure(error) || !/subscription/.test(error.message)) throw error;
    await dropSubscriptions(withDatabase(maintenance.parameters, name), signal);
    await maintenance.query(drop);
  }
}

async function dropSubscriptions(database: ConnectionParameters, signal: AbortSignal): Promise<void> {
  await using session = await openSession(database, signal);
  await disableEventTriggers(session);
  const rows = await session.query<{ name: string }>(
    `SELECT subname AS name FROM pg_catalog.pg_subscription
      WHERE subdbid = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())`,
  );
  for (const { name } of rows) {
    await session.query(`ALTER SUBSCRIPTION ${quoteIdentifier(name)} DISABLE`);
    await session.query(`ALTER SUBSCRIPTION ${quoteIdentifier(name)} SET (slot_name = NONE)`);
    await session.query(`DROP SUBSCRIPTION ${quoteIdentifier(name)}`);
  }
}

/** They came with the backup, and may refuse any command but those about themselves. */
async function disableEventTriggers(session: Session): Promise<void> {
  const rows = await session.query<{ name: string }>(
    `SELECT evtname AS name FROM pg_catalog.pg_event_trigger WHERE evtenabled <> 'D'`,
  );
  for (const { name } of rows) await session.query(`ALTER EVENT TRIGGER ${quoteIdentifier(name)} DISABLE`);
}

export interface PropertyOptions {
  readonly noOwner: boolean;
  readonly noPrivileges: boolean;
}

/**
 * Gives a new database the owner, settings, comment, labels and grants of the backed up one. They are in the archive
 * under the old name, and pg_restore applies them only when it makes the database itself.
 * What the server does not take becomes a warning: the data are there, and the setting is named.
 */
export async function applyDatabaseProperties(
  session: Session,
  name: string,
  like: DatabaseMetadata,
  toc: ArchiveToc,
  options: PropertyOptions,
): Promise<string[]> {
  const statements: string[] = [];
  const warnings: string[] = [];
  if (!options.noOwner) {
    if ((await missingRoles(session, [like.owner])).length === 0) {
      statements.push(`ALTER DATABASE ${quoteIdentifier(name)} OWNER TO ${quoteIdentifier(like.owner)}`);
    } else {
      warnings.push(`the owner of the database, ${like.owner}, does not exist on the server`);
    }
  }
  for (const entry of toc.entries) {
    if (!isAboutDatabase(entry) || entry.description === 'DATABASE') continue;
    if (entry.description === 'ACL' && options.noPrivileges) continue;
    for (const statement of splitStatements(entry.definition)) {
      const renamed = withDatabaseName(statement, name);
      if (renamed !== undefined) statements.push(renamed);
      else warnings.push(`not applied to the database: ${statement.text}`);
    }
  }
  for (const statement of statements) {
    try {
      await session.query(statement);
    } catch (error) {
      if (!isFailure(error) || error.kind === 'unreachable') throw error;
      warnings.push(
        `the database lacks a property of the backup: ${statement.replaceAll(name, like.name)} (${error.message})`,
      );
    }
  }
  return warnings;
}

/** So that the commits of this session are on disk when they return, whatever the server is set to. */
export async function waitForDisk(session: Session): Promise<void> {
  await session.query(
    `SELECT pg_catalog.set_config('synchronous_commit', 'local', false)
      WHERE pg_catalog.current_setting('synchronous_commit') = 'off'`,
  );
}
