import type { Entry, StreamRef } from '../../contract/stream.ts';
import { failure, reasonOf } from '../../kernel/errors/failure.ts';
import type { RestoreContext } from '../port.ts';
import { startChild, writeTo } from '../../postgres/child.ts';
import {
  describeServer,
  withDatabase,
  type ConnectionParameters,
  type Environment,
} from '../../postgres/connection/connection.ts';
import { databaseArgument, quoteIdentifier } from '../../postgres/names.ts';
import { createDatabase, dropDatabase, giveToOwner, waitForDisk } from './restore-database.ts';
import type { RestoreMode, RestorePlanSummary } from './restore-options.ts';
import { notInPlace, renameIntoPlace, swapIntoPlace } from './restore-place.ts';
import {
  checkTargetName,
  contentsOf,
  mayCreateDatabase,
  openMaintenance,
  openTarget,
  replacedPrefix,
  temporaryPrefix,
} from './restore-target.ts';
import type { RestoreSummary } from './restore.ts';
import { scriptEntry, scriptMetadataSchema, type ScriptMetadata } from './script-metadata.ts';
import { toolFailure } from '../../postgres/connection/server-errors.ts';
import {
  childEnvironment,
  openSession,
  pinned,
  settingOf,
  type Session,
} from '../../postgres/connection/session.ts';
import { findTools, listTools, toolPath, type Tools } from '../../postgres/tools.ts';

export interface ScriptRestoreOptions {
  readonly target: ConnectionParameters;
  readonly force: boolean;
  readonly toolsDirectory: string | undefined;
  readonly randomHex: (bytes: number) => string;
  readonly env: Environment;
}

export interface ScriptRestorePlan {
  readonly summary: RestorePlanSummary;
  readonly options: ScriptRestoreOptions;
  readonly metadata: ScriptMetadata;
  readonly stream: StreamRef;
  readonly tools: Tools;
}

const cleanUpMs = 20_000;
const placeMs = 60_000;

/** Looks at the target and says what a restore would do; refuses what cannot go well. Changes nothing. */
export async function planScriptRestore(
  options: ScriptRestoreOptions,
  context: RestoreContext,
): Promise<ScriptRestorePlan> {
  checkTargetName(options.target.database);
  const metadata = scriptMetadataSchema.parse(context.metadata);
  const stream = await scriptIn(context);
  const tools = await newestPsql(options, context.signal);
  const { session, exists } = await openTarget(options.target, undefined, context.signal);
  await using _session = session;
  const mode = await modeFor(options, metadata, session, exists);
  const summary: RestorePlanSummary = {
    mode,
    database: metadata.database?.name ?? options.target.database,
    target: options.target.database,
    server: session.setting.server,
    source_version: metadata.server_version ?? 'unknown',
    server_version: session.serverVersion,
    tables: [],
    rows: metadata.rows,
    bytes: metadata.bytes,
    objects: metadata.statements,
    roles_to_create: [],
    check: false,
    warnings: ['a script is run as it is: what it makes cannot be compared with a backup'],
  };
  return { summary, options, metadata, stream, tools };
}

/** Only the script is read. */
export function scriptNeeded({ kind }: Entry): boolean {
  return kind === scriptEntry.kind;
}

async function scriptIn(context: RestoreContext): Promise<StreamRef> {
  for await (const { kind, stream } of context.entries())
    if (kind === scriptEntry.kind && stream !== null) return stream;
  throw failure('postgres_restore_backup_damaged', { database: '?', reason: 'it has no script' });
}

async function newestPsql(
  { env, toolsDirectory }: ScriptRestoreOptions,
  signal: AbortSignal,
): Promise<Tools> {
  const search = { env, signal, directory: toolsDirectory };
  return (await listTools(search, 'psql')).at(-1) ?? (await findTools(search, 'psql', 10, 'a script'));
}

async function modeFor(
  { target, force }: ScriptRestoreOptions,
  { transactional }: ScriptMetadata,
  session: Session,
  exists: boolean,
): Promise<RestoreMode> {
  const { server } = session.setting;
  const found = exists ? await contentsOf(session) : undefined;
  if (found !== undefined && !force)
    throw failure('postgres_restore_not_empty', { database: target.database, server, found });
  if (exists && found === undefined && transactional) return 'fill';
  if (exists && !force) {
    const reason =
      'it exists, and this script cannot run in one transaction, so it could not be undone; --force puts a new one in its place';
    throw failure('postgres_restore_target', { target: `database ${target.database}`, reason });
  }
  if (!(await mayCreateDatabase(session))) {
    const { user } = target;
    const reason = 'it lacks CREATEDB';
    throw failure('postgres_restore_create', { user, server, reason, role: quoteIdentifier(user) });
  }
  return exists ? 'replace' : 'create';
}

/**
 * Runs the script. A new database is made and filled under a temporary name and then renamed, an existing one filled in
 * one transaction; when it rejects, the target is as it was.
 */
export async function runScriptRestore(
  plan: ScriptRestorePlan,
  context: RestoreContext,
  nowNs: () => bigint,
): Promise<RestoreSummary> {
  return await new ScriptRestore(plan, context, nowNs).run();
}

class ScriptRestore {
  readonly #plan: ScriptRestorePlan;
  readonly #context: RestoreContext;
  readonly #nowNs: () => bigint;
  readonly #warnings: string[];

  constructor(plan: ScriptRestorePlan, context: RestoreContext, nowNs: () => bigint) {
    this.#plan = plan;
    this.#context = context;
    this.#nowNs = nowNs;
    this.#warnings = [...plan.summary.warnings];
  }

  async run(): Promise<RestoreSummary> {
    const { summary, options, metadata } = this.#plan;
    const startedNs = this.#nowNs();
    this.#context.progress.total(metadata.bytes);
    let replaced: string | null = null;
    if (summary.mode === 'fill') {
      await using session = await openSession(options.target, this.#context.signal);
      const found = await contentsOf(session);
      const { server } = session.setting;
      if (found !== undefined)
        throw failure('postgres_restore_not_empty', { database: summary.target, server, found });
      await this.#psql(pinned(session));
    } else {
      replaced = await this.#intoNew();
    }
    return {
      mode: summary.mode,
      database: summary.target,
      tables: metadata.tables,
      rows: metadata.rows,
      bytes: metadata.bytes,
      checked: 0,
      replaced,
      roles_created: [],
      durations_ms: { script: Number((this.#nowNs() - startedNs) / 1_000_000n) },
      warnings: this.#warnings,
    };
  }

  /** Gives the name under which the database before is kept, if there was one. */
  async #intoNew(): Promise<string | null> {
    const { options } = this.#plan;
    const { signal } = this.#context;
    const maintenance = await openMaintenance(options.target, undefined, signal);
    const server = pinned(maintenance);
    const temporary = temporaryPrefix + options.randomHex(4);
    let isWhole = false;
    try {
      await this.#create(maintenance, temporary);
      // Idle for hours, the connection could be cut by the server or a firewall.
      await maintenance.close();
      await this.#psql(withoutWaiting(withDatabase(server, temporary)));
      isWhole = true; // from here on a failure to rename must not cost the data
      return await this.#putInPlace(server, temporary);
    } catch (error) {
      if (isWhole && !signal.aborted)
        throw notInPlace(describeServer(server), temporary, options.target.database, error);
      await this.#drop(server, temporary);
      throw error;
    } finally {
      await maintenance.close();
    }
  }

  async #create(maintenance: Session, temporary: string): Promise<void> {
    this.#context.progress.phase(`making database ${temporary}`);
    const like = this.#plan.metadata.database;
    if (like === null) {
      await maintenance.query(`CREATE DATABASE ${quoteIdentifier(temporary)} TEMPLATE template0`);
      return;
    }
    await createDatabase(maintenance, temporary, like);
    await giveToOwner(maintenance, temporary, like.owner);
  }

  async #psql(target: ConnectionParameters): Promise<void> {
    // psql finds the ends of texts as the import did, whatever role and database have set.
    const database = { ...target, options: `${target.options} -c standard_conforming_strings=on`.trim() };
    const { options, metadata, stream, tools, summary } = this.#plan;
    const { signal, progress } = this.#context;
    progress.phase('running the script');
    const child = startChild({
      command: toolPath(tools, 'psql'),
      args: [
        '--no-psqlrc',
        '--quiet',
        '--no-password',
        '--set=ON_ERROR_STOP=1',
        '--file=-',
        ...(metadata.transactional ? ['--single-transaction'] : []),
        `--dbname=${databaseArgument(database.database)}`,
      ],
      // What the script says itself counts more.
      env: { ...childEnvironment(database, options.env), PGCLIENTENCODING: 'UTF8' },
      signal,
      stdin: 'pipe',
      stdout: 'ignore',
    });
    let taken = true;
    try {
      for await (const piece of this.#context.open(stream)) {
        progress.advance(piece.length);
        taken = child.stdin !== undefined && (await writeTo(child.stdin, Buffer.from(piece)));
        if (!taken) break;
      }
    } catch (error) {
      // Stopped before its input ends: an end it could take for that of the script.
      await child.stop();
      signal.throwIfAborted();
      throw error;
    }
    if (taken) child.stdin?.end();
    const exit = await child.exit;
    if (exit.code === 0 && taken) return;
    // Whoever reads the error knows the database by the name it was to have, not by the temporary one.
    throw toolFailure('psql', exit, settingOf(withDatabase(database, summary.target)));
  }

  async #putInPlace(server: ConnectionParameters, temporary: string): Promise<string | null> {
    const { options, summary } = this.#plan;
    const { signal, progress } = this.#context;
    signal.throwIfAborted();
    progress.phase(`renaming it to ${summary.target}`);
    await using maintenance = await openSession(server, AbortSignal.timeout(placeMs));
    await waitForDisk(maintenance);
    if (summary.mode === 'create') {
      await renameIntoPlace(maintenance, temporary, summary.target);
      return null;
    }
    const kept = replacedPrefix + options.randomHex(4);
    await swapIntoPlace(maintenance, temporary, summary.target, kept, signal);
    this.#warnings.push(
      `the database before is kept as ${kept}; drop it with DROP DATABASE ${quoteIdentifier(kept)}`,
    );
    return kept;
  }

  async #drop(server: ConnectionParameters, temporary: string): Promise<void> {
    const signal = AbortSignal.timeout(cleanUpMs);
    try {
      await using session = await openSession(server, signal);
      await dropDatabase(session, temporary, signal);
    } catch (error) {
      const reason = reasonOf(error);
      this.#context.log.warn('the temporary database of a failed restore could not be dropped', {
        database: temporary,
        reason,
      });
    }
  }
}

/** The database gets its name by a commit that waits for the disk; those before need not. */
function withoutWaiting(connection: ConnectionParameters): ConnectionParameters {
  return { ...connection, options: `${connection.options} -c synchronous_commit=off`.trim() };
}
