import { failure } from '../../kernel/errors/failure.ts';
import type { RestoreContext } from '../port.ts';
import { isListed } from './archive/phases.ts';
import type { TocEntry } from './archive/toc.ts';
import type { DatabaseMetadata } from './metadata.ts';
import { quoteIdentifier, readableIdentifier } from '../../postgres/names.ts';
import { chooseDatabase, loadArchive, loadGlobals, readMetadata } from './restore-archive.ts';
import { parseGlobals, withoutPassword } from './restore-globals.ts';
import type { PlannedTable, PostgresRestoreOptions, RestoreMode, RestorePlan } from './restore-options.ts';
import {
  availableExtensions,
  checkTargetName,
  contentsOf,
  ownerWhoKeepsPublic,
  existsInTarget,
  knowsLocale,
  leftoverDatabases,
  mayActAs,
  mayCreateDatabase,
  missingRoles,
  missingTablespaces,
  openTarget,
} from './restore-target.ts';
import { selectEntries } from './selection.ts';
import { mendOwners } from '../../postgres/connection/server-errors.ts';
import type { Session } from '../../postgres/connection/session.ts';
import { rolesIn, splitStatements } from './sql-statements.ts';
import { findWiden } from '../../postgres/stdio-buffers.ts';
import { findTools, installCommands } from '../../postgres/tools.ts';

/**
 * Looks at the backup and at the target, refuses what cannot go well, and says what a restore would do.
 * Changes nothing. Throws `postgres_restore_*`, connection errors, `postgres_tool_*`.
 */
export async function planRestore(
  options: PostgresRestoreOptions,
  context: RestoreContext,
): Promise<RestorePlan> {
  checkTargetName(options.target.database);
  const metadata = readMetadata(context.metadata);
  const database = chooseDatabase(metadata, options.database, options.target.database);
  context.progress.phase(`reading the table of contents of ${database.name}`);
  const archive = await loadArchive(database, context);
  const dumpMajor = Number.parseInt(metadata.pg_dump_version, 10);
  const search = { env: options.env, signal: context.signal, directory: options.toolsDirectory };
  const tools = await findTools(
    search,
    'pg_restore',
    dumpMajor,
    `an archive of pg_dump ${metadata.pg_dump_version}`,
  );
  const widen = await findWiden(search);
  const globals = options.globals === true ? await loadGlobals(context) : undefined;

  const { session, exists } = await openTarget(options.target, options.maintenanceDatabase, context.signal);
  await using _session = session;
  const planning = new Planning(options, session, database);
  const sourceMajor = Math.floor(metadata.server_version_number / 10_000);
  const targetMajor = Math.floor(session.serverVersionNumber / 10_000);
  planning.checkVersions(sourceMajor, metadata.server_version, targetMajor);
  const mode = await planning.mode(exists);
  if (options.globals === true && globals === undefined)
    planning.warnings.push('the backup has no roles to restore');
  if (options.check === false)
    planning.warnings.push('what is restored is not compared with the backup, because of --no-check');
  const entries = await planning.entries(archive.toc.entries, mode);
  await planning.checkExtensions(entries, targetMajor);
  const rolesToCreate = await planning.checkRoles(entries, globals);
  if (globals !== undefined && !metadata.globals.passwords)
    planning.warnings.push(...withoutPassword(parseGlobals(globals), rolesToCreate));
  await planning.checkOwners(entries, mode, rolesToCreate);
  const withoutTablespaces = await planning.checkTablespaces(entries);
  if (tools.major >= 17 && targetMajor < 17 && (mode === 'fill' || mode === 'add')) {
    throw failure('postgres_restore_tools', {
      found: tools.version,
      target: targetMajor,
      wanted: Math.max(dumpMajor, targetMajor),
      install: installCommands(Math.max(dumpMajor, targetMajor)),
    });
  }

  const tables = entries.flatMap((entry): PlannedTable[] => {
    const block = archive.blocks.get(entry.dumpId);
    if (block?.kind !== 'table') return [];
    const { schema, table, rows, bytes } = block.meta;
    return [{ schema, table, rows, bytes }];
  });
  return {
    summary: {
      mode,
      database: database.name,
      target: options.target.database,
      server: session.setting.server,
      source_version: metadata.server_version,
      server_version: session.serverVersion,
      tables,
      rows: tables.reduce((sum, { rows }) => sum + rows, 0),
      bytes: tables.reduce((sum, { bytes }) => sum + bytes, 0),
      objects: entries.length,
      roles_to_create: rolesToCreate,
      check: options.check !== false,
      warnings: planning.warnings,
    },
    work: {
      options,
      metadata,
      database,
      archive,
      entries,
      tools,
      widen,
      targetMajor,
      withoutTablespaces,
      globals,
    },
  };
}

/** The questions a plan asks, each of which may refuse or add a warning. */
class Planning {
  readonly warnings: string[] = [];
  readonly #options: PostgresRestoreOptions;
  readonly #session: Session;
  readonly #database: DatabaseMetadata;

  constructor(options: PostgresRestoreOptions, session: Session, database: DatabaseMetadata) {
    this.#options = options;
    this.#session = session;
    this.#database = database;
  }

  get #server(): string {
    return this.#session.setting.server;
  }

  checkVersions(sourceMajor: number, source: string, targetMajor: number): void {
    if (targetMajor >= sourceMajor) return;
    if (this.#options.force !== true) {
      throw failure('postgres_restore_older_server', {
        source,
        server: this.#server,
        target: this.#session.serverVersion,
      });
    }
    this.warnings.push(
      `the server is older (${this.#session.serverVersion}) than the one backed up (${source})`,
    );
  }

  async mode(exists: boolean): Promise<RestoreMode> {
    const { options, server } = { options: this.#options, server: this.#server };
    const selective = options.only !== undefined && options.only.length > 0;
    for (const name of await leftoverDatabases(this.#session)) {
      this.warnings.push(
        `a restore that was interrupted, or could not rename it, left database ${name} behind; drop it with DROP DATABASE ${quoteIdentifier(name)}, unless that restore said that it is whole`,
      );
    }
    if (exists && selective) return 'add';
    if (exists) {
      const found = await contentsOf(this.#session);
      if (found === undefined) return 'fill';
      if (options.force !== true)
        throw failure('postgres_restore_not_empty', { database: options.target.database, server, found });
    }
    if (!(await mayCreateDatabase(this.#session))) {
      const user = options.target.user;
      throw failure('postgres_restore_create', {
        user,
        server,
        reason: 'it lacks CREATEDB',
        role: quoteIdentifier(user),
      });
    }
    if (!(await knowsLocale(this.#session, this.#database))) {
      this.warnings.push(`the server may not have the locale ${this.#database.collate} of the database`);
    }
    return exists ? 'replace' : 'create';
  }

  /** The entries to restore, in the order of the table of contents. */
  async entries(all: readonly TocEntry[], mode: RestoreMode): Promise<TocEntry[]> {
    const { only } = this.#options;
    if (only === undefined || only.length === 0) return all.filter(isListed);
    const selection = selectEntries(all, only);
    const left = new Set<number>();
    const taken: string[] = [];
    // A new database has nothing but public; what is there already matters for an existing one.
    for (const entry of selection.entries) {
      if (mode !== 'add' && entry.description !== 'SCHEMA') continue;
      const there = mode === 'add' ? await existsInTarget(this.#session, entry) : false;
      if (there !== true) continue;
      if (
        selection.required.has(entry.dumpId) ||
        entry.description === 'SCHEMA' ||
        entry.description === 'EXTENSION'
      )
        left.add(entry.dumpId);
      else
        taken.push(
          `${entry.description.toLowerCase()} ${entry.schema === '' ? entry.tag : `${entry.schema}.${entry.tag}`}`,
        );
    }
    if (taken.length > 0) {
      const objects =
        taken.length > 5 ? `${taken.slice(0, 5).join(', ')} and ${taken.length - 5} more` : taken.join(', ');
      throw failure('postgres_restore_exists', {
        database: this.#options.target.database,
        server: this.#server,
        objects,
      });
    }
    for (const { entry, schema, table } of selection.outwardKeys) {
      const probe = { ...entry, description: 'TABLE', schema, tag: table };
      if (mode === 'add' && (await existsInTarget(this.#session, probe)) === true) continue;
      left.add(entry.dumpId);
      this.warnings.push(
        `foreign key ${entry.tag} is left out, because table ${schema}.${table} is not there`,
      );
    }
    this.warnings.push(...selection.warnings);
    return selection.entries.filter((entry) => !left.has(entry.dumpId) && !this.#isRemarkOnLeft(entry, left));
  }

  /** A comment on what the target has already would overwrite the target's. */
  #isRemarkOnLeft(entry: TocEntry, left: ReadonlySet<number>): boolean {
    return (
      ['COMMENT', 'ACL', 'SECURITY LABEL'].includes(entry.description) &&
      entry.dependencies.some((id) => left.has(id))
    );
  }

  async checkExtensions(entries: readonly TocEntry[], targetMajor: number): Promise<void> {
    const wanted = new Set(
      entries.filter(({ description }) => description === 'EXTENSION').map(({ tag }) => tag),
    );
    if (wanted.size === 0) return;
    const available = new Map(
      (await availableExtensions(this.#session)).map(({ name, versions }) => [name, versions]),
    );
    const missing = [...wanted].filter((name) => !available.has(name));
    if (missing.length > 0) {
      throw failure('postgres_restore_extension_missing', {
        server: this.#server,
        extensions: missing.join(', '),
        install: `apt install postgresql-contrib, or dnf install postgresql${targetMajor}-contrib`,
      });
    }
    for (const { name, version } of this.#database.extensions) {
      const versions = available.get(name);
      if (wanted.has(name) && versions !== undefined && !versions.includes(version)) {
        this.warnings.push(
          `extension ${name} was ${version}; the server has ${[...new Set(versions)].join(', ')}`,
        );
      }
    }
  }

  /** Roles that will be made first; refuses when some are needed and nobody makes them. */
  async checkRoles(entries: readonly TocEntry[], globals: string | undefined): Promise<string[]> {
    const owners = new Set(entries.map(({ owner }) => owner).filter((owner) => owner !== ''));
    const granted = new Set(
      entries
        .filter(({ description }) => description === 'ACL' || description === 'DEFAULT ACL')
        .flatMap(({ definition }) => splitStatements(definition).flatMap(rolesIn)),
    );
    const whole = this.#options.only === undefined || this.#options.only.length === 0;
    const otherwise = whole
      ? this.#database.roles.filter((role) => !owners.has(role) && !granted.has(role))
      : [];
    const needed = new Set([
      ...(this.#options.noOwner === true ? [] : owners),
      ...(this.#options.noPrivileges === true ? [] : granted),
      ...(this.#options.noOwner === true && this.#options.noPrivileges === true ? [] : otherwise),
    ]);
    const defined = globals === undefined ? [] : parseGlobals(globals).roles.map(({ name }) => name);
    const toCreate = await missingRoles(this.#session, defined);
    const missing = (await missingRoles(this.#session, [...needed])).filter(
      (role) => !toCreate.includes(role),
    );
    if (missing.length > 0) {
      throw failure('postgres_restore_role_missing', { server: this.#server, roles: missing.join(', ') });
    }
    return toCreate;
  }

  /** Refuses when this user could not give every object to its owner. Roles yet to be made cannot be judged. */
  async checkOwners(
    entries: readonly TocEntry[],
    mode: RestoreMode,
    rolesToCreate: readonly string[],
  ): Promise<void> {
    await this.#checkPublic(entries, mode);
    if (this.#options.noOwner === true) return;
    const owned = entries.filter(isGivenToOwner);
    const owners = new Set(owned.map(({ owner }) => owner));
    const foreign: string[] = [];
    for (const role of [...owners].toSorted())
      if (!rolesToCreate.includes(role) && !(await mayActAs(this.#session, role))) foreign.push(role);
    if (foreign.length > 0)
      throw this.#mayNot(`it is no member of the owners of objects: ${foreign.join(', ')}`);
    const { user } = this.#options.target;
    const { owner } = this.#database;
    // Only its owner, whom then nobody can make it, lets others have objects in the schema public of a new database.
    const inPublic = owned.some(({ schema, owner: role }) => schema === 'public' && role !== user);
    const isNew = mode === 'create' || mode === 'replace';
    if (!isNew || !inPublic || this.#session.serverVersionNumber < 150_000) return;
    if (!rolesToCreate.includes(owner) && !(await mayActAs(this.#session, owner)))
      throw this.#mayNot(`it is no member of the owner of the database: ${owner}`);
  }

  /** In a database that exists, its owner, or who was given the right, may make something in the schema public. */
  async #checkPublic(entries: readonly TocEntry[], mode: RestoreMode): Promise<void> {
    if (mode !== 'fill' && mode !== 'add') return;
    if (!entries.some((entry) => entry.schema === 'public' && isGivenToOwner(entry))) return;
    const owner = await ownerWhoKeepsPublic(this.#session);
    if (owner === undefined) return;
    const { user, database } = this.#options.target;
    const [name, role] = [readableIdentifier(database), readableIdentifier(user)];
    throw this.#mayNot(
      `it may make nothing in the schema public, for the database belongs to ${owner}`,
      `make it the owner, as a superuser or ${owner}: ALTER DATABASE ${name} OWNER TO ${role}; a new one for it: createdb -O ${role} ${name}`,
    );
  }

  #mayNot(reason: string, mend = mendOwners(this.#options.target.user)): Error {
    const { user, database } = this.#options.target;
    return failure('postgres_restore_permission', { user, database, reason, mend });
  }

  /** True when the tablespaces of the backup are not all there, and everything goes into the default one. */
  async checkTablespaces(entries: readonly TocEntry[]): Promise<boolean> {
    const names = new Set(
      entries.flatMap(({ tablespace }) =>
        tablespace === undefined || tablespace === '' ? [] : [tablespace],
      ),
    );
    const missing = await missingTablespaces(this.#session, [...names]);
    if (missing.length === 0) return false;
    this.warnings.push(
      `the server has no tablespace ${missing.join(', ')} for this user; everything goes into the default one`,
    );
    return true;
  }
}

/** Kinds that belong to whoever owns the table or domain they are part of, or to no role. */
const withoutOwner = new Set([
  'CAST',
  'CHECK CONSTRAINT',
  'CONSTRAINT',
  'DATABASE PROPERTIES',
  'DEFAULT',
  'FK CONSTRAINT',
  'INDEX',
  'POLICY',
  'ROW SECURITY',
  'RULE',
  'TRIGGER',
  'USER MAPPING',
]);

/** True when pg_restore writes `ALTER … OWNER TO` for it, and not just to whoever owns the database. */
function isGivenToOwner({ description, dropStatement, owner }: TocEntry): boolean {
  if (owner === '' || owner === 'pg_database_owner') return false;
  return dropStatement !== '' && !withoutOwner.has(description);
}
