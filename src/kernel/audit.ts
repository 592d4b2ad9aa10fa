import { randomBytes } from 'node:crypto';
import { mkdir, open } from 'node:fs/promises';
import { hostname, userInfo } from 'node:os';
import { dirname } from 'node:path';
import type { Clock } from './clock.ts';
import { toPlain } from './plain.ts';
import { redact, redactArguments } from './redact.ts';
import type { Secret } from './secret.ts';

/** Who runs this, as the operating system says. */
export interface Actor {
  readonly user: string;
  readonly host: string;
  /** The user behind sudo, or whoever a request over HTTP was authenticated as. */
  readonly onBehalfOf?: string;
}

export interface AuditOptions {
  /** A file of its own. It only grows: nothing here ever shortens, rotates or removes it. */
  readonly path: string;
  readonly clock: Clock;
  readonly actor: Actor;
  /** Told when the trail cannot be written, at most once per operation and event; the operation goes on. */
  readonly onTrouble: (message: string) => void;
  readonly secrets?: () => readonly Secret[];
}

/** Ids of what an operation made, changed or removed: backups, keys, jobs. */
export type TouchedIds = readonly string[];

export interface AuditedOperation {
  /** 16 hexadecimal digits, the same on every line of this operation. */
  readonly id: string;
  done(touched?: TouchedIds): Promise<void>;
  /** `error` may be any thrown value; its code, if it has one, and its masked message are written. */
  failed(error: unknown, touched?: TouchedIds): Promise<void>;
}

/** Append-only: who did what, when, and how it ended; one JSON object per line. */
export class AuditTrail {
  readonly #options: AuditOptions;

  constructor(options: AuditOptions) {
    this.#options = options;
  }

  /** Writes that an operation starts, before it does anything. Never rejects. */
  async start(verb: string, args: readonly string[]): Promise<AuditedOperation> {
    const id = randomBytes(8).toString('hex');
    const secrets = this.#secrets();
    await this.#append(id, 'started', { verb, arguments: redactArguments(args, secrets) });
    return {
      id,
      done: (touched = []) => this.#append(id, 'done', { verb, touched }),
      failed: (error, touched = []) =>
        this.#append(id, 'failed', { verb, touched, ...this.#describe(error) }),
    };
  }

  #secrets(): readonly Secret[] {
    return this.#options.secrets?.() ?? [];
  }

  #describe(error: unknown): { readonly code: string | null; readonly message: string } {
    const { code } = Object(error) as { code?: unknown };
    const message = error instanceof Error ? error.message : String(error);
    return { code: typeof code === 'string' ? code : null, message: redact(message, this.#secrets()) };
  }

  async #append(
    operation: string,
    event: 'started' | 'done' | 'failed',
    facts: Record<string, unknown>,
  ): Promise<void> {
    const { path, clock, actor, onTrouble } = this.#options;
    const line = {
      time: new Date(clock.now()).toISOString(),
      operation,
      event,
      ...facts,
      user: actor.user,
      host: actor.host,
      ...(actor.onBehalfOf === undefined ? {} : { on_behalf_of: actor.onBehalfOf }),
      pid: process.pid,
    };
    try {
      await appendLine(path, JSON.stringify(toPlain(line, this.#secrets())), event !== 'started');
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      onTrouble(`the audit trail ${path} misses "${event}" of operation ${operation}: ${reason}`);
    }
  }
}

/** One write on a descriptor opened for appending: lines of several processes never mix. */
async function appendLine(path: string, line: string, durable: boolean): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  await using file = await open(path, 'a+', 0o600);
  const { size } = await file.stat();
  const last = Buffer.alloc(1);
  if (size > 0) await file.read(last, 0, 1, size - 1);
  // A line torn by a power cut must not swallow this one. Where the unfinished line is another process's that is being
  // written at this very moment, the newline becomes a blank line, which readers of JSON lines pass over.
  const torn = size > 0 && last[0] !== 0x0a;
  const bytes = Buffer.from(`${torn ? '\n' : ''}${line}\n`);
  const { bytesWritten } = await file.write(bytes);
  if (bytesWritten !== bytes.length)
    throw new Error(`only ${bytesWritten} of ${bytes.length} bytes were written`);
  if (durable) await file.sync();
}

/** The user and host of this process. */
export function systemActor(): Actor {
  const behind = process.env['SUDO_USER'];
  return {
    user: userName(),
    host: hostname(),
    ...(behind === undefined || behind === '' ? {} : { onBehalfOf: behind }),
  };
}

function userName(): string {
  try {
    return userInfo().username;
  } catch {
    // In a container the user id may have no name.
    return `uid ${process.getuid?.() ?? 'unknown'}`;
  }
}
