import type { Writable } from 'node:stream';
import { failure } from '../../kernel/errors/failure.ts';
import { CopyScanner, type CopyResult } from '../../pipeline/copy-scanner.ts';
import type { RestoreContext } from '../port.ts';
import type { TocEntry } from './archive/toc.ts';
import { addBlobTotals, BlobFingerprint, type BlobTotals } from './blob-fingerprint.ts';
import { startChild, writeTo } from './child.ts';
import type { ConnectionParameters } from './connection.ts';
import { configurationConditions, copyOut, tableKey } from './copy-out.ts';
import type { RestoreWork } from './restore-options.ts';
import { toolFailure } from './server-errors.ts';
import { childEnvironment, openSession, settingOf } from './session.ts';
import { shareOut } from './share-out.ts';
import { together } from './together.ts';
import { toolPath } from './tools.ts';

interface CheckedTable {
  readonly entry: TocEntry;
  /** Of an extension's configuration table; undefined for every other. */
  readonly condition: string | undefined;
  readonly rows: number;
  readonly bytes: number;
  readonly fingerprint: string;
}

export interface CheckResult {
  /** Tables, and large objects as one. */
  readonly compared: number;
  /** One line for each that differs. */
  readonly differing: readonly string[];
  /**
   * Configuration tables of extensions that differ: the extension puts rows of its own into these when it is made,
   * which another version of it may do otherwise.
   */
  readonly warnings: readonly string[];
}

/**
 * Reads every restored table back, as text under the settings pg_dump uses, and compares rows and fingerprint with the
 * backup's.
 */
export async function checkRestored(
  work: RestoreWork,
  database: ConnectionParameters,
  context: RestoreContext,
  signal: AbortSignal,
): Promise<CheckResult> {
  const tables = await tablesToCheck(work, database, signal);
  const blobs = work.entries.flatMap((entry): BlobTotals[] => {
    const block = work.archive.blocks.get(entry.dumpId);
    return block?.kind === 'blobs' ? [block.meta] : [];
  });
  const shares = shareOut(tables, context.jobs, ({ bytes }) => bytes);
  const checks = shares.map(
    (share) => (either: AbortSignal) => checkTables(share, work, database, context, either),
  );
  const found = (await together(checks, signal)).flat();
  const differing = found.filter(({ table }) => table.condition === undefined).map(({ line }) => line);
  const warnings = found
    .filter(({ table }) => table.condition !== undefined)
    .map(({ line }) => `the configuration table of an extension differs from the backup: ${line}`);
  if (blobs.length > 0) differing.push(...(await compareBlobs(blobs, database, signal)));
  return { compared: tables.length + (blobs.length > 0 ? 1 : 0), differing, warnings };
}

async function compareBlobs(
  blobs: readonly BlobTotals[],
  database: ConnectionParameters,
  signal: AbortSignal,
): Promise<string[]> {
  const wanted = addBlobTotals(blobs);
  const found = await readBlobs(database, signal);
  if (found.fingerprint === wanted.fingerprint && found.objects === wanted.objects) return [];
  return [
    `large objects (${found.objects} of ${found.bytes} bytes instead of ${wanted.objects} of ${wanted.bytes})`,
  ];
}

async function tablesToCheck(
  work: RestoreWork,
  database: ConnectionParameters,
  signal: AbortSignal,
): Promise<CheckedTable[]> {
  const defined = new Set(
    work.archive.toc.entries
      .filter(({ description }) => description === 'TABLE')
      .map(({ schema, tag }) => tableKey(schema, tag)),
  );
  const dumped = work.entries.flatMap((entry) => {
    const block = work.archive.blocks.get(entry.dumpId);
    return block?.kind === 'table' ? [{ entry, meta: block.meta }] : [];
  });
  // What the archive has rows for and no definition belongs to an extension.
  const ofExtension = dumped.some(({ entry }) => !defined.has(tableKey(entry.schema, entry.tag)));
  const conditions = ofExtension ? await readConditions(database, signal) : new Map<string, string>();
  return dumped.map(({ entry, meta }) => {
    const key = tableKey(entry.schema, entry.tag);
    return { entry, ...meta, condition: defined.has(key) ? undefined : (conditions.get(key) ?? '') };
  });
}

async function readConditions(
  database: ConnectionParameters,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, string>> {
  await using session = await openSession(database, signal);
  return await configurationConditions(session);
}

interface Difference {
  readonly table: CheckedTable;
  readonly line: string;
}

/** Stands alone on a line between two tables; COPY escapes every backslash of the data, so it is never one of theirs. */
const mark = Buffer.from('\\.\n');

/** One psql copies one table after the other to its standard output, which is far faster than rows through the driver. */
async function checkTables(
  tables: readonly CheckedTable[],
  work: RestoreWork,
  database: ConnectionParameters,
  context: RestoreContext,
  signal: AbortSignal,
): Promise<Difference[]> {
  const child = startChild({
    command: toolPath(work.tools, 'psql'),
    args: ['--no-psqlrc', '--quiet', '--no-password', '--set=ON_ERROR_STOP=1', '--file=-'],
    env: { ...childEnvironment(database, work.options.env), PGCLIENTENCODING: 'UTF8' },
    signal,
    stdin: 'pipe',
    stdout: 'pipe',
  });
  const script = writeScript(child.stdin as Writable, tables, work);
  const scanner = new CopyScanner({ intSize: 4 });
  const results: CopyResult[] = [];
  const splitter = new MarkSplitter({
    data: (bytes) => scanner.pushPlain(bytes),
    mark: () => {
      results.push(scanner.result());
      scanner.reset();
    },
  });
  try {
    for await (const piece of child.stdout as AsyncIterable<Buffer>) {
      context.progress.advance(piece.length);
      splitter.push(piece);
    }
    await script;
  } catch (error) {
    await child.stop();
    signal.throwIfAborted();
    throw error;
  }
  const exit = await child.exit;
  if (exit.code !== 0) throw toolFailure('psql', exit, settingOf(database));
  if (results.length !== tables.length) {
    throw failure('postgres_tool_failed', {
      tool: 'psql',
      status: 'exit 0',
      reason: `it copied ${results.length} of ${tables.length} tables`,
    });
  }
  return tables.flatMap((table, index) => {
    const result = results[index];
    if (result === undefined || (result.rows === table.rows && result.fingerprint === table.fingerprint))
      return [];
    const what =
      result.rows === table.rows
        ? `${result.rows} rows, other contents`
        : `${result.rows} rows instead of ${table.rows}`;
    return [{ table, line: `${table.entry.schema}.${table.entry.tag} (${what})` }];
  });
}

const settings = [
  'SET datestyle = ISO',
  'SET intervalstyle = postgres',
  'SET extra_float_digits = 3',
  'SET bytea_output = hex',
  "SET timezone = 'UTC'",
  "SET lc_monetary = 'C'",
  'SET row_security = off',
  'SET statement_timeout = 0',
  'SET lock_timeout = 0',
  'SET idle_in_transaction_session_timeout = 0',
  'SET synchronize_seqscans = off',
  'SET xmloption = content',
  "SET search_path = ''",
];

async function writeScript(
  stdin: Writable,
  tables: readonly CheckedTable[],
  work: RestoreWork,
): Promise<void> {
  const { encoding } = work.archive.toc;
  let open = await writeTo(stdin, Buffer.from(settings.map((line) => `${line};\n`).join('')));
  for (const { entry, condition } of tables) {
    if (!open) return;
    open = await writeTo(stdin, Buffer.from(`${copyOut(entry, encoding, condition)};\n\\echo '\\\\.'\n`));
  }
  if (open) stdin.end();
}

interface MarkSink {
  data(bytes: Uint8Array): void;
  mark(): void;
}

/** Finds the marks in a stream of lines, wherever it is cut. */
export class MarkSplitter {
  readonly #sink: MarkSink;
  /** Bytes at the end of what came last that may begin a mark; only ever such. */
  #held: Buffer = Buffer.alloc(0);
  #lineStart = true;

  constructor(sink: MarkSink) {
    this.#sink = sink;
  }

  push(piece: Uint8Array): void {
    const input =
      this.#held.length === 0
        ? Buffer.from(piece.buffer, piece.byteOffset, piece.length)
        : Buffer.concat([this.#held, piece]);
    this.#held = Buffer.alloc(0);
    let at = 0;
    while (at < input.length) {
      if (this.#lineStart) {
        const rest = input.subarray(at, at + mark.length);
        if (rest.length < mark.length && mark.subarray(0, rest.length).equals(rest)) {
          this.#held = Buffer.from(rest);
          return;
        }
        if (rest.equals(mark)) {
          this.#sink.mark();
          at += mark.length;
          continue;
        }
      }
      const found = input.indexOf('\n\\.\n', at);
      const end = found === -1 ? lastLineStart(input, at) : found + 1;
      this.#sink.data(input.subarray(at, end));
      this.#lineStart = input[end - 1] === 0x0a;
      at = end;
    }
  }
}

/** After the last newline when little enough follows it to be the beginning of a mark, else the end. */
function lastLineStart(input: Buffer, at: number): number {
  const newline = input.lastIndexOf(0x0a);
  const start = newline + 1;
  return start > at && input.length - start < mark.length ? start : input.length;
}

const blobPieceBytes = 262_144;

/** Every large object of the database, by number and content. */
async function readBlobs(database: ConnectionParameters, signal: AbortSignal): Promise<BlobTotals> {
  await using session = await openSession(database, signal);
  const totals = new BlobFingerprint();
  for (let last = '0'; ;) {
    const oids = await session.query<{ oid: string }>(
      'SELECT oid::text FROM pg_catalog.pg_largeobject_metadata WHERE oid > $1::oid ORDER BY oid LIMIT 1000',
      [last],
    );
    for (const { oid } of oids) {
      totals.begin(Number(oid));
      for (let offset = 0; ; offset += blobPieceBytes) {
        const [row] = await session.query<{ piece: Buffer }>(
          'SELECT pg_catalog.lo_get($1::oid, $2::bigint, $3::integer) AS piece',
          [oid, offset, blobPieceBytes],
        );
        const piece = row?.piece ?? Buffer.alloc(0);
        totals.content(piece);
        if (piece.length < blobPieceBytes) break;
      }
      totals.end();
      last = oid;
    }
    if (oids.length < 1000) return totals.totals();
  }
}
