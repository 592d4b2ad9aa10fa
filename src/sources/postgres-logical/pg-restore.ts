import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Writable } from 'node:stream';
import type { RestoreContext } from '../port.ts';
import { blockTypes, encodeBlockEnd, encodeBlockHeader, encodePieces } from './archive/blocks.ts';
import { useList } from './archive/phases.ts';
import { encodeToc, type TocEntry } from './archive/toc.ts';
import { startChild, writeTo, type ChildExit } from '../../postgres/child.ts';
import { withDatabase, type ConnectionParameters } from '../../postgres/connection/connection.ts';
import { databaseArgument } from '../../postgres/names.ts';
import type { RestoreWork } from './restore-options.ts';
import { toolFailure } from '../../postgres/connection/server-errors.ts';
import { childEnvironment, settingOf } from '../../postgres/connection/session.ts';
import type { Command } from '../../postgres/stdio-buffers.ts';
import { toolPath } from '../../postgres/tools.ts';

/** Runs pg_restore for parts of one archive into one database. */
export class PgRestore {
  readonly #work: RestoreWork;
  readonly #database: ConnectionParameters;
  readonly #context: RestoreContext;
  /** Ours alone; removed by whoever made it. */
  readonly #directory: string;
  readonly #toc: Buffer;
  #lists = 0;

  constructor(work: RestoreWork, database: ConnectionParameters, context: RestoreContext, directory: string) {
    this.#work = work;
    this.#database = database;
    this.#context = context;
    this.#directory = directory;
    this.#toc = encodeToc(work.archive.toc);
  }

  /** Restores entries that have no data, by up to `jobs` connections. */
  async withoutData(entries: readonly TocEntry[], jobs: number, signal: AbortSignal): Promise<void> {
    if (entries.length === 0) return;
    const file = join(this.#directory, 'toc');
    await writeFile(file, this.#toc, { mode: 0o600 });
    const args = await this.#arguments(entries, [
      ...(jobs > 1 ? [`--jobs=${jobs}`] : []),
      ...this.#strictness(false),
    ]);
    const child = startChild({
      ...this.#command([...args, file]),
      signal,
      stdin: 'ignore',
      stdout: 'ignore',
    });
    this.#judge(await child.exit);
  }

  /**
   * Restores entries with their data from standard input, in the order given, which must be that of the table of
   * contents: pg_restore reads a pipe only forwards and skips what it does not want yet.
   */
  async withData(
    entries: readonly TocEntry[],
    signal: AbortSignal,
    options: { readonly transaction: boolean },
  ): Promise<void> {
    if (entries.length === 0) return;
    const args = await this.#arguments(entries, this.#strictness(options.transaction));
    const child = startChild({ ...this.#command(args), signal, stdin: 'pipe', stdout: 'ignore' });
    try {
      await this.#feed(child.stdin as Writable, entries);
    } catch (error) {
      await child.stop();
      signal.throwIfAborted();
      throw error;
    }
    this.#judge(await child.exit);
  }

  async #feed(stdin: Writable, entries: readonly TocEntry[]): Promise<void> {
    if (await this.#feedAll(stdin, entries)) stdin.end();
  }

  /** False when pg_restore stopped reading, whose exit status then says why. */
  async #feedAll(stdin: Writable, entries: readonly TocEntry[]): Promise<boolean> {
    const { intSize } = this.#work.archive.toc.header;
    if (!(await writeTo(stdin, this.#toc))) return false;
    for (const { dumpId } of entries) {
      const block = this.#work.archive.blocks.get(dumpId);
      if (block === undefined) continue;
      const type = block.kind === 'table' ? blockTypes.data : blockTypes.blobs;
      if (!(await writeTo(stdin, encodeBlockHeader({ type, dumpId }, intSize)))) return false;
      if (block.stream !== null) {
        for await (const content of this.#context.open(block.stream)) {
          this.#context.progress.advance(content.length);
          // The inside of a block of large objects was stored with its framing.
          const parts = block.kind === 'blobs' ? [Buffer.from(content)] : encodePieces(content, intSize);
          for (const part of parts) if (!(await writeTo(stdin, part))) return false;
        }
      }
      if (block.kind === 'table' && !(await writeTo(stdin, encodeBlockEnd(intSize)))) return false;
    }
    return true;
  }

  /** pg_restore 17 sets a parameter that older servers refuse; that one error is then passed over below. */
  get #tolerant(): boolean {
    return this.#work.tools.major >= 17 && this.#work.targetMajor < 17;
  }

  #strictness(transaction: boolean): string[] {
    if (transaction) return ['--single-transaction'];
    return this.#tolerant ? [] : ['--exit-on-error'];
  }

  async #arguments(entries: readonly TocEntry[], more: readonly string[]): Promise<string[]> {
    const { noOwner, noPrivileges } = this.#work.options;
    this.#lists += 1;
    const list = join(this.#directory, `list-${this.#lists}`);
    await writeFile(list, useList(entries), { mode: 0o600 });
    return [
      '--format=custom',
      '--no-password',
      `--dbname=${databaseArgument(this.#database.database)}`,
      `--use-list=${list}`,
      ...(noOwner === true ? ['--no-owner'] : []),
      ...(noPrivileges === true ? ['--no-privileges'] : []),
      ...(this.#work.withoutTablespaces ? ['--no-tablespaces'] : []),
      ...more,
    ];
  }

  #command(args: readonly string[]): Command & { readonly env: Record<string, string> } {
    const { tools, widen, options } = this.#work;
    return {
      ...widen({ command: toolPath(tools, 'pg_restore'), args }),
      env: childEnvironment(this.#database, options.env),
    };
  }

  #judge(exit: ChildExit): void {
    if (exit.code === 0) return;
    if (this.#tolerant && exit.code === 1 && onlyUnknownTimeout(exit.stderr)) return;
    // Whoever reads the error knows the database by the name it was to have, not by the temporary one.
    const { database } = this.#work.options.target;
    throw toolFailure('pg_restore', exit, settingOf(withDatabase(this.#database, database)));
  }
}

/** True when every error printed is that the server has no `transaction_timeout`. */
export function onlyUnknownTimeout(stderr: string): boolean {
  const errors = stderr.split('\n').filter((line) => line.includes('error:'));
  return (
    errors.length > 0 &&
    errors.every((line) => line.includes('unrecognized configuration parameter "transaction_timeout"'))
  );
}
