import { spawn } from 'node:child_process';
import { hash } from 'node:crypto';
import { once } from 'node:events';
import { findTools, toolPath } from '../src/postgres/tools.ts';
import type { PostgresServer } from './postgres-server.ts';

type DumpTool = 'pg_dump' | 'pg_dumpall';

/** What PostgreSQL's own tools write about a server, line by line; without the lines that are random. */
async function eachLine(
  take: (line: Buffer) => void,
  server: PostgresServer,
  tool: DumpTool,
  database: string,
  args: readonly string[],
): Promise<void> {
  const search = { env: { PATH: process.env['PATH'] }, signal: new AbortController().signal };
  const tools = await findTools(search, tool, server.major, 'a test');
  const child = spawn(toolPath(tools, tool), args, {
    env: {
      PATH: process.env['PATH'] ?? '',
      LC_ALL: 'C',
      PGHOST: '127.0.0.1',
      PGPORT: String(server.port),
      PGUSER: server.superuser,
      PGPASSWORD: server.password,
      PGDATABASE: database,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const exited = once(child, 'exit');
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  let rest: Buffer = Buffer.alloc(0);
  for await (const piece of child.stdout as AsyncIterable<Buffer>) {
    const data = rest.length === 0 ? piece : Buffer.concat([rest, piece]);
    let start = 0;
    for (let end = data.indexOf(10); end !== -1; end = data.indexOf(10, start)) {
      const line = data.subarray(start, end);
      start = end + 1;
      if (line[0] !== backslash || !/^\\(?:un)?restrict /.test(line.toString('latin1', 0, 12))) take(line);
    }
    rest = data.subarray(start);
  }
  const [code] = (await exited) as [number | null];
  if (code !== 0) throw new Error(`${tool} of ${database} ended with ${code}: ${stderr}`);
}

const backslash = 0x5c;

export async function dumpText(
  server: PostgresServer,
  tool: DumpTool,
  database: string,
  ...args: string[]
): Promise<string[]> {
  const lines: string[] = [];
  await eachLine((line) => lines.push(line.toString()), server, tool, database, args);
  return lines;
}

/** The rows of a table as a set: their physical order is nobody's promise. */
export interface RowSet {
  readonly rows: number;
  readonly sum: string;
}

/** A dump with the rows of each `COPY` put together to a set, every other line as it is: for any number of rows. */
export async function dumpAsSets(
  server: PostgresServer,
  tool: DumpTool,
  database: string,
  ...args: string[]
): Promise<(string | RowSet)[]> {
  const parts: (string | RowSet)[] = [];
  let table: { rows: number; sum: bigint } | undefined;
  const take = (line: Buffer): void => {
    if (table === undefined) {
      const text = line.toString();
      parts.push(text);
      if (/^COPY .* FROM stdin;$/.test(text)) table = { rows: 0, sum: 0n };
    } else if (line.length === 2 && line[0] === backslash && line[1] === 0x2e) {
      parts.push({ rows: table.rows, sum: table.sum.toString(16) });
      table = undefined;
    } else {
      table.rows += 1;
      table.sum += hash('sha1', line, 'buffer').readBigUInt64LE();
    }
  };
  await eachLine(take, server, tool, database, args);
  return parts;
}
