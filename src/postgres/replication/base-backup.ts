import { failure } from '../../kernel/errors/failure.ts';
import { formatLsn, type Lsn } from '../lsn.ts';
import {
  commandFailed,
  lsnIn,
  nullableText,
  numberIn,
  takeResult,
  takeResults,
  unexpected,
  type Row,
} from './commands.ts';
import type { Link } from './link.ts';
import { parseServerMessage, queryMessage, types, type WireItem } from './wire.ts';

export interface BaseBackupOptions {
  readonly label: string;
  /** A checkpoint at once, with what that costs the server, instead of one spread over minutes. */
  readonly fast: boolean;
  /** Have the server put `tablespace_map` into the main archive, and leave `pg_tblspc` without its links. Default true. */
  readonly tablespaceMap?: boolean;
  /** Have the server look at the size of everything first, which takes it a while. Default false. */
  readonly progress?: boolean;
  /** Default true. */
  readonly verifyChecksums?: boolean;
  /** Have the server wait at the end until the WAL that belongs to the backup is archived. Default false. */
  readonly wait?: boolean;
  /** Kilobytes a second, for the server's sake; 32 to 1048576. Unlimited unless given. */
  readonly maxRateKib?: number;
  /** Once data comes, so long without any ends the connection with `postgres_silent`. Default 5 minutes. */
  readonly silentAfterMs?: number;
}

export interface WalPoint {
  readonly lsn: Lsn;
  readonly timeline: number;
}

export interface BackedUpTablespace {
  readonly oid: number;
  /** Where it lies on the server. */
  readonly path: string;
  /** Null unless `progress` was asked for. */
  readonly sizeKib: number | null;
}

export interface BaseBackupArchive {
  /** Null: the data directory itself, which comes last. */
  readonly tablespace: number | null;
  /** Where the tablespace lies on the server; empty for the data directory. */
  readonly path: string;
  /** A tar file in pieces. What is not read of it is passed over when the next archive is asked for. */
  readonly data: AsyncIterable<Uint8Array>;
}

/** A base backup while the server sends it. */
export interface BaseBackupStream {
  readonly start: WalPoint;
  readonly tablespaces: readonly BackedUpTablespace[];
  /** Of the data directory without tablespaces; null unless `progress` was asked for. */
  readonly baseSizeKib: number | null;
  /** To be read once. Whoever stops before the end loses the connection. */
  archives(): AsyncIterable<BaseBackupArchive>;
  /**
   * Settles when the archives are through: up to where WAL is needed. `base_backup_checksums` when the server found pages
   * with wrong checksums: everything was delivered all the same, and `details` has the end (`lsn` as text, `timeline`) and the
   * server's `warnings`.
   */
  readonly end: Promise<WalPoint>;
  /** What the server warned of so far, at most a thousand: pages with wrong checksums above all. */
  readonly warnings: readonly string[];
  readonly mostBuffered: number;
}

const mostWarnings = 1000;
const defaultSilentAfterMs = 300_000;
const letters = { archive: 0x6e, data: 0x64, progress: 0x70, manifest: 0x6d } as const;

/** Throws what the server says before it begins to send: roles, `replication_off` … */
export async function startBaseBackup(
  link: Link,
  version: number,
  options: BaseBackupOptions,
): Promise<BaseBackupStream> {
  const warnings: string[] = [];
  link.onNotice = ({ message }) => {
    if (warnings.length < mostWarnings) warnings.push(message);
  };
  // Of data only its letter; other messages are short and needed whole.
  link.headBytes = version >= 150_000 ? (first) => (first === letters.data ? 1 : Infinity) : () => 0;
  link.send(queryMessage(version >= 150_000 ? command(options) : oldCommand(options)));
  const [start] = await takeResult(link);
  const tablespaces = await takeResult(link);
  link.watch({ afterMs: options.silentAfterMs ?? defaultSilentAfterMs });
  return new Backup(link, version, pointIn(link, start), tablespaces, warnings);
}

function command(options: BaseBackupOptions): string {
  const { tablespaceMap = true, progress = false, verifyChecksums = true, wait = false } = options;
  const words = [
    `LABEL ${literal(options.label)}`,
    `CHECKPOINT '${options.fast ? 'fast' : 'spread'}'`,
    `PROGRESS ${progress}`,
    `WAIT ${wait}`,
    `TABLESPACE_MAP ${tablespaceMap}`,
    `VERIFY_CHECKSUMS ${verifyChecksums}`,
  ];
  if (options.maxRateKib !== undefined) words.push(`MAX_RATE ${options.maxRateKib}`);
  return `BASE_BACKUP (${words.join(', ')})`;
}

/** Before version 15. */
function oldCommand(options: BaseBackupOptions): string {
  const { tablespaceMap = true, progress = false, verifyChecksums = true, wait = false } = options;
  const words = [`LABEL ${literal(options.label)}`];
  if (progress) words.push('PROGRESS');
  if (options.fast) words.push('FAST');
  if (!wait) words.push('NOWAIT');
  if (options.maxRateKib !== undefined) words.push(`MAX_RATE ${options.maxRateKib}`);
  if (tablespaceMap) words.push('TABLESPACE_MAP');
  if (!verifyChecksums) words.push('NOVERIFY_CHECKSUMS');
  return `BASE_BACKUP ${words.join(' ')}`;
}

/** The replication grammar knows no escapes but the doubled quote. */
function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

function pointIn(link: Link, row: Row | undefined): WalPoint {
  return { lsn: lsnIn(link, row, 0), timeline: numberIn(link, row, 1) };
}

class Backup implements BaseBackupStream {
  readonly start: WalPoint;
  readonly tablespaces: readonly BackedUpTablespace[];
  readonly baseSizeKib: number | null;
  readonly warnings: readonly string[];
  readonly #link: Link;
  /** Before version 15. */
  readonly #isOld: boolean;
  readonly #rows: readonly Row[];
  readonly #end = Promise.withResolvers<WalPoint>();
  /** Came behind the data of the archive before. */
  #next: WireItem | undefined;
  #isOver = false;

  constructor(
    link: Link,
    version: number,
    start: WalPoint,
    rows: readonly Row[],
    warnings: readonly string[],
  ) {
    this.#link = link;
    this.#isOld = version < 150_000;
    this.start = start;
    this.warnings = warnings;
    this.#rows = rows;
    const sizeOf = (row: Row): number | null =>
      nullableText(row, 2) === undefined ? null : numberIn(link, row, 2);
    this.tablespaces = rows
      .filter((row) => row[0] !== null)
      .map((row) => ({
        oid: numberIn(link, row, 0),
        path: nullableText(row, 1) ?? '',
        sizeKib: sizeOf(row),
      }));
    this.baseSizeKib = rows.filter((row) => row[0] === null).map(sizeOf)[0] ?? null;
    this.#end.promise.catch(() => undefined); // archives() rejects as well, and may be all that is looked at
  }

  get end(): Promise<WalPoint> {
    return this.#end.promise;
  }

  get mostBuffered(): number {
    return this.#link.mostBuffered;
  }

  async *archives(): AsyncGenerator<BaseBackupArchive, void, void> {
    try {
      yield* this.#isOld ? this.#oldArchives() : this.#archives();
      this.#link.watch(undefined); // the end may have to wait for the archiving of WAL
      await this.#takeEnd();
    } catch (error) {
      this.#end.reject(error);
      throw error;
    } finally {
      this.#link.watch(undefined);
      this.#link.onNotice = undefined;
      if (!this.#isOver) {
        const left = failure('postgres_server_gone', {
          server: this.#link.setting.server,
          reason: 'the base backup was not read to its end',
        });
        if (this.#link.isOpen) this.#link.fail(left);
        this.#end.reject(left);
      }
    }
  }

  /** One copy with everything; a message says where the next archive begins. */
  async *#archives(): AsyncGenerator<BaseBackupArchive, void, void> {
    await this.#expect(types.copyOutResponse);
    this.#next = await this.#take();
    while (this.#next?.type === types.copyData) {
      const { head } = this.#next;
      if (head[0] !== letters.archive) throw this.#link.protocolFailure('data came before its archive');
      this.#next = undefined;
      yield { ...this.#nameOf(head), data: this.#data() };
      while ((await this.#piece()) !== undefined);
    }
    this.#demandDone();
  }

  async *#data(): AsyncGenerator<Uint8Array, void, void> {
    for (let bytes = await this.#piece(); bytes !== undefined; bytes = await this.#piece()) yield bytes;
  }

  /** The next piece of the archive; undefined at its end, with what came there in `#next`. */
  async #piece(): Promise<Uint8Array | undefined> {
    while (this.#next === undefined) {
      const item = await this.#take();
      const letter = this.#isOld ? letters.data : item.head[0];
      if (item.type !== types.copyData || (letter !== letters.data && letter !== letters.progress))
        this.#next = item;
      else if (letter === letters.data && item.bytes.length > 0) return item.bytes;
    }
    return undefined;
  }

  #nameOf(head: Buffer): { tablespace: number | null; path: string } {
    const nameEnd = head.indexOf(0, 1);
    const name = head.toString('utf8', 1, nameEnd);
    const path = head.toString('utf8', nameEnd + 1, head.indexOf(0, nameEnd + 1));
    const oid = /^(\d+)\.tar$/.exec(name)?.[1];
    if (oid === undefined && name !== 'base.tar')
      throw this.#link.protocolFailure(`an archive is called ${JSON.stringify(name)}`);
    return { tablespace: oid === undefined ? null : Number(oid), path };
  }

  /** Before version 15: one copy for each row of the list of tablespaces. */
  async *#oldArchives(): AsyncGenerator<BaseBackupArchive, void, void> {
    for (const row of this.#rows) {
      await this.#expect(types.copyOutResponse);
      const tablespace = row[0] === null ? null : numberIn(this.#link, row, 0);
      this.#next = undefined;
      yield { tablespace, path: nullableText(row, 1) ?? '', data: this.#data() };
      while ((await this.#piece()) !== undefined);
      this.#demandDone();
    }
  }

  #demandDone(): void {
    if (this.#next?.type !== types.copyDone)
      throw this.#link.protocolFailure(
        this.#next === undefined ? 'an archive has no end' : unexpected(this.#next),
      );
  }

  async #expect(type: number): Promise<void> {
    const item = await this.#take();
    if (item.type !== type) throw this.#link.protocolFailure(unexpected(item));
  }

  async #take(): Promise<WireItem> {
    const item = await this.#link.next();
    if (item.type === types.errorResponse) {
      this.#isOver = true;
      throw await commandFailed(this.#link, item);
    }
    return item;
  }

  /** The row with the end comes before the error that pages are damaged. */
  async #takeEnd(): Promise<void> {
    const [row] = await takeResult(this.#link);
    const end = pointIn(this.#link, row);
    const item = await this.#link.next();
    this.#isOver = true;
    if (item.type === types.errorResponse) {
      const said = parseServerMessage(item.head);
      const failed = await commandFailed(this.#link, item);
      this.#end.reject(said.sqlState === 'XX001' ? this.#damaged(said.message, end) : failed);
      return;
    }
    if (item.type !== types.commandComplete) throw this.#link.protocolFailure(unexpected(item));
    await takeResults(this.#link);
    this.#end.resolve(end);
  }

  #damaged(reason: string, { lsn, timeline }: WalPoint): Error {
    return failure(
      'base_backup_checksums',
      { server: this.#link.setting.server, reason: this.warnings[0] ?? reason },
      { details: { lsn: formatLsn(lsn), timeline, warnings: this.warnings } },
    );
  }
}
