import { failure } from '../../kernel/errors/failure.ts';
import { parseLsn, type Lsn } from '../lsn.ts';
import { replicationFailure, ServerSaid, type ReplicationSetting } from './errors.ts';
import type { Link } from './link.ts';
import { parseDataRow, parseServerMessage, queryMessage, types, type WireItem } from './wire.ts';

export type Row = readonly (Buffer | null)[];

/** Sends a command and takes its answer whole: the rows of each of its results. */
export async function runCommand(
  link: Link,
  sql: string,
  about: Partial<ReplicationSetting> = {},
): Promise<Row[][]> {
  link.send(queryMessage(sql));
  return await takeResults(link, about);
}

/** Takes what comes until the server is ready for the next command. Throws what it reports, as a coded error. */
export async function takeResults(link: Link, about: Partial<ReplicationSetting> = {}): Promise<Row[][]> {
  const results: Row[][] = [];
  for (;;) {
    const item = await link.next();
    if (item.type === types.readyForQuery) return results;
    if (item.type === types.rowDescription) results.push([]);
    else if (item.type === types.dataRow) {
      // Whose caller has taken the description already.
      if (results.length === 0) results.push([]);
      results.at(-1)?.push(parseDataRow(item.head));
    } else if (item.type === types.errorResponse) throw await commandFailed(link, item, about);
    // Asked whether it is there the server answers with a keepalive, behind the end of a stream, too.
    else if (item.type !== types.commandComplete && item.type !== types.copyData)
      throw link.protocolFailure(unexpected(item));
  }
}

/** Takes one result alone, up to where the command says that it is complete. */
export async function takeResult(link: Link, about: Partial<ReplicationSetting> = {}): Promise<Row[]> {
  const rows: Row[] = [];
  for (;;) {
    const item = await link.next();
    if (item.type === types.commandComplete) return rows;
    if (item.type === types.dataRow) rows.push(parseDataRow(item.head));
    else if (item.type === types.errorResponse) throw await commandFailed(link, item, about);
    else if (item.type !== types.rowDescription) throw link.protocolFailure(unexpected(item));
  }
}

/**
 * The coded error of an error that has come, when the connection is ready for the next command; without that, when the
 * error is one that ends it.
 */
export async function commandFailed(
  link: Link,
  item: WireItem,
  about: Partial<ReplicationSetting> = {},
): Promise<Error> {
  const said = parseServerMessage(item.head);
  const error = replicationFailure(new ServerSaid(said), { ...link.setting, ...about });
  if (said.severity !== 'ERROR') {
    link.fail(error);
    return error;
  }
  try {
    while ((await link.next()).type !== types.readyForQuery);
  } catch {
    // What the server said first tells more than how the connection ended.
  }
  return error;
}

export function unexpected(item: WireItem): string {
  return `a message of type ${JSON.stringify(String.fromCharCode(item.type))} came where there must be none`;
}

export function textOf(link: Link, row: Row | undefined, column: number): string {
  return nullableText(row, column) ?? missing(link, column);
}

export function nullableText(row: Row | undefined, column: number): string | undefined {
  return row?.[column]?.toString('utf8');
}

export function lsnIn(link: Link, row: Row | undefined, column: number): Lsn {
  return parseLsn(textOf(link, row, column)) ?? missing(link, column);
}

export function numberIn(link: Link, row: Row | undefined, column: number): number {
  const value = Number(textOf(link, row, column));
  return Number.isSafeInteger(value) ? value : missing(link, column);
}

function missing(link: Link, column: number): never {
  throw failure('replication_protocol', {
    server: link.setting.server,
    reason: `column ${column + 1} of an answer is not what it should be`,
  });
}
