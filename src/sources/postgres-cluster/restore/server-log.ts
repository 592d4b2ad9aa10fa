import { open, readFile } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';

/** What a server has logged about its recovery. */
export interface LogFacts {
  /** Where it stopped to replay. */
  readonly lastLsn: string | null;
  readonly lastTransactionAt: string | null;
  /** The new one. */
  readonly timeline: number | null;
  /** Where and why, in its words. */
  readonly stopped: string | null;
  readonly paused: boolean;
  readonly shutDownAtTarget: boolean;
  readonly targetMissed: boolean;
  /** The last error that ended something. */
  readonly fatal: string | null;
  readonly lastLines: readonly string[];
}

const told = 12;

export function readFacts(text: string): LogFacts {
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  const last = (pattern: RegExp): string | null => text.match(new RegExp(pattern, 'gm'))?.at(-1) ?? null;
  const group = (pattern: RegExp): string | null =>
    [...text.matchAll(new RegExp(pattern, 'gm'))].at(-1)?.[1] ?? null;
  const timeline = group(/selected new timeline ID: (\d+)/);
  return {
    lastLsn: group(/redo done at ([0-9A-F]+\/[0-9A-F]+)/),
    lastTransactionAt: group(/last completed transaction was at log time ([^",\n]+)/),
    timeline: timeline === null ? null : Number(timeline),
    stopped: last(/recovery stopping (?:before|after|at) [^\n]+/),
    paused: /pausing at the end of recovery|recovery has paused/.test(text),
    shutDownAtTarget: text.includes('shutdown at recovery target'),
    targetMissed: text.includes('recovery ended before configured recovery target was reached'),
    fatal: group(/(?:FATAL|PANIC):\s+([^\n]+)/),
    lastLines: lines.slice(-told),
  };
}

const mostBytes = 1024 * 1024;

/** The log of a server from a place on; that of its logging collector as well, which the server begins soon. */
export class ServerLog {
  readonly #path: string;
  readonly #directory: string;
  #position: number;
  #text = '';
  readonly #collected = new Map<string, number>();

  constructor(path: string, from: number, directory: string) {
    this.#path = path;
    this.#position = from;
    this.#directory = directory;
  }

  /** At most the last of it. */
  async read(): Promise<string> {
    const piece = await readFrom(this.#path, this.#position);
    this.#position += piece.length;
    this.#add(piece);
    const names = await readFile(join(this.#directory, 'current_logfiles'), 'utf8').catch(() => '');
    for (const [, path = ''] of names.matchAll(/^\w+ (.+)$/gm)) {
      if (!this.#text.includes('logging collector') && !this.#collected.has(path)) continue;
      const full = isAbsolute(path) ? path : join(this.#directory, path);
      const more = await readFrom(full, this.#collected.get(path) ?? 0);
      this.#collected.set(path, (this.#collected.get(path) ?? 0) + more.length);
      this.#add(more);
    }
    return this.#text;
  }

  #add(piece: Buffer): void {
    this.#text = (this.#text + piece.toString()).slice(-mostBytes);
  }
}

async function readFrom(path: string, position: number): Promise<Buffer> {
  try {
    await using file = await open(path, 'r');
    const { size } = await file.stat();
    const buffer = Buffer.alloc(Math.max(0, Math.min(size - position, mostBytes)));
    const { bytesRead } = await file.read(buffer, 0, buffer.length, position);
    return buffer.subarray(0, bytesRead);
  } catch {
    return Buffer.alloc(0);
  }
}
