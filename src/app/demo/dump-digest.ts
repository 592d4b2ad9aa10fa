import { spawn } from 'node:child_process';
import { createHash, hash } from 'node:crypto';
import { once } from 'node:events';
import { failure } from '../../kernel/errors/failure.ts';

/** What `pg_dump` prints of a database, in a form that two dumps can be compared by. */
export interface DumpDigest {
  readonly bytes: number;
  /** SHA-256 of everything that is no row: every object, owner, grant, comment and sequence value, in order. */
  readonly statements: string;
  /** `schema.table` to its rows as a set: their number and the sum of their SHA-256, which no order changes. */
  readonly rows: ReadonlyMap<string, string>;
}

const newline = 0x0a;

/** Runs `pg_dump --create` and reads all it prints. `env` says which database. Throws `postgres_tool_failed`. */
export async function digestDump(
  pgDump: string,
  env: Readonly<Record<string, string | undefined>>,
  signal: AbortSignal,
): Promise<DumpDigest> {
  const child = spawn(pgDump, ['--create', '--no-password'], {
    env,
    signal,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let trouble = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (trouble = (trouble + text).slice(-2000)));
  const closed = once(child, 'close') as Promise<[number | null]>;
  closed.catch(() => undefined);
  const reader = new DumpReader();
  for await (const piece of child.stdout as AsyncIterable<Buffer>) reader.push(piece);
  const [code] = await closed;
  if (code !== 0) {
    throw failure('postgres_tool_failed', {
      tool: 'pg_dump',
      status: `exit code ${code}`,
      reason: trouble.trim(),
    });
  }
  return reader.end();
}

/** Reads the text line by line; rows are what stands between `COPY … FROM stdin;` and `\.`. */
export class DumpReader {
  readonly #statements = createHash('sha256');
  readonly #rows = new Map<string, string>();
  #bytes = 0;
  #rest: Buffer = Buffer.alloc(0);
  #table: string | undefined;
  #count = 0;
  #sum = 0n;

  push(piece: Buffer): void {
    this.#bytes += piece.length;
    const data = this.#rest.length === 0 ? piece : Buffer.concat([this.#rest, piece]);
    let start = 0;
    for (let end = data.indexOf(newline); end !== -1; end = data.indexOf(newline, start)) {
      this.#line(data.subarray(start, end));
      start = end + 1;
    }
    this.#rest = data.subarray(start);
  }

  end(): DumpDigest {
    if (this.#rest.length > 0) this.#line(this.#rest);
    return { bytes: this.#bytes, statements: this.#statements.digest('hex'), rows: this.#rows };
  }

  #line(line: Buffer): void {
    if (this.#table !== undefined) return this.#row(line, this.#table);
    // pg_dump guards its script by a random word, another one each time.
    if (/^\\(?:un)?restrict /.test(line.subarray(0, 12).toString('latin1'))) return;
    this.#statements.update(line).update('\n');
    this.#table = /^COPY (\S+) .*FROM stdin;$/.exec(line.toString('utf8'))?.[1];
  }

  #row(line: Buffer, table: string): void {
    if (line.length === 2 && line.equals(endOfRows)) {
      this.#rows.set(table, `${this.#count} rows, ${this.#sum.toString(16)}`);
      this.#table = undefined;
      this.#count = 0;
      this.#sum = 0n;
      return;
    }
    this.#count += 1;
    this.#sum = (this.#sum + hash('sha256', line, 'buffer').readBigUInt64LE()) & mask;
  }
}

const endOfRows = Buffer.from('\\.');
const mask = 2n ** 64n - 1n;
