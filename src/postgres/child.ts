import { spawn, type ChildProcess } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import { failure } from '../kernel/errors/failure.ts';

export interface ChildOptions {
  readonly command: string;
  readonly args: readonly string[];
  /** The whole environment of the child; nothing is inherited. */
  readonly env: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
  /** `pipe`: the caller writes and must end it. */
  readonly stdin: 'ignore' | 'pipe';
  /** `pipe`: the caller must read it to the end, or abort. */
  readonly stdout: 'ignore' | 'pipe';
}

export interface ChildExit {
  /** `null` when a signal ended it. */
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** At most the last 64 KiB of what it printed to standard error. */
  readonly stderr: string;
}

export interface Child {
  readonly stdin: Writable | undefined;
  readonly stdout: Readable | undefined;
  /**
   * Resolves once the process has ended and its pipes are closed, however it ended.
   * Rejects with the signal's reason when it was aborted (after the process is gone), and with a coded error when
   * the program could not be started.
   */
  readonly exit: Promise<ChildExit>;
  /** SIGTERM now, SIGKILL after the grace; resolves when the process is gone. May be called at any time. */
  stop(): Promise<void>;
}

const stderrLimitBytes = 65_536;
const graceMs = 5_000;

/** Starts a program that is never left behind: it ends by itself, by abort, or by {@link Child.stop}. */
export function startChild(options: ChildOptions): Child {
  options.signal.throwIfAborted();
  const child = spawn(options.command, options.args, {
    env: options.env,
    stdio: [options.stdin, options.stdout, 'pipe'],
  });
  const stderr = collectTail(child);
  let killTimer: NodeJS.Timeout | undefined;
  let gone = false;

  const stop = (): void => {
    if (gone || killTimer !== undefined) return;
    child.kill('SIGTERM');
    killTimer = setTimeout(() => child.kill('SIGKILL'), graceMs);
    // Whoever read the output has stopped; without a reader the child could not end its last write.
    child.stdout?.destroy();
    child.stdin?.destroy();
  };

  const ended = new Promise<ChildExit>((resolve, reject) => {
    child.once('error', (error) =>
      reject(
        failure('postgres_tool_failed', {
          tool: toolName(options.command),
          status: 'could not be started',
          reason: error.message,
        }),
      ),
    );
    child.once('close', (code, signal) => resolve({ code, signal, stderr: stderr() }));
  });
  options.signal.addEventListener('abort', stop, { once: true });
  const cleanUp = (): void => {
    gone = true;
    clearTimeout(killTimer);
    options.signal.removeEventListener('abort', stop);
  };
  const exit = ended.then(
    (result) => {
      cleanUp();
      options.signal.throwIfAborted();
      return result;
    },
    (error: unknown) => {
      cleanUp();
      throw error;
    },
  );
  // A caller that failed on the streams first reports that; the exit is then looked at by stop().
  exit.catch(() => undefined);
  // EPIPE: the child ended before it had read everything. Its exit status says why.
  child.stdin?.on('error', () => undefined);
  child.stdout?.on('error', () => undefined);

  return {
    stdin: child.stdin ?? undefined,
    stdout: child.stdout ?? undefined,
    exit,
    stop: async () => {
      stop();
      await ended.then(
        () => undefined,
        () => undefined,
      );
    },
  };
}

/** Runs a program to its end and gives what it printed, which must be small (at most `limitBytes`). */
export async function runChild(
  options: Omit<ChildOptions, 'stdin' | 'stdout'>,
  limitBytes = 16 * 1024 * 1024,
): Promise<ChildExit & { readonly stdout: Buffer }> {
  const child = startChild({ ...options, stdin: 'ignore', stdout: 'pipe' });
  const pieces: Buffer[] = [];
  let size = 0;
  try {
    for await (const piece of child.stdout as AsyncIterable<Buffer>) {
      size += piece.length;
      if (size > limitBytes) {
        throw failure('postgres_tool_failed', {
          tool: toolName(options.command),
          status: 'stopped',
          reason: `it printed more than ${limitBytes} bytes`,
        });
      }
      pieces.push(piece);
    }
  } catch (error) {
    await child.stop();
    options.signal.throwIfAborted();
    throw error;
  }
  return { ...(await child.exit), stdout: Buffer.concat(pieces) };
}

/** Writes with back-pressure. Returns false when the child does not read any more (its exit status says why). */
export async function writeTo(stream: Writable, data: Uint8Array): Promise<boolean> {
  if (stream.destroyed || stream.errored !== null || stream.writableEnded) return false;
  if (stream.write(data)) return true;
  return await new Promise<boolean>((resolve) => {
    const settle = (open: boolean) => (): void => {
      stream.off('drain', onDrain);
      stream.off('close', onClose);
      stream.off('error', onClose);
      resolve(open);
    };
    const onDrain = settle(true);
    const onClose = settle(false);
    stream.once('drain', onDrain);
    stream.once('close', onClose);
    stream.once('error', onClose);
  });
}

export function toolName(command: string): string {
  return command.slice(command.lastIndexOf('/') + 1);
}

function collectTail(child: ChildProcess): () => string {
  let pieces: Buffer[] = [];
  let size = 0;
  child.stderr?.on('data', (piece: Buffer) => {
    pieces.push(piece);
    size += piece.length;
    if (size > 2 * stderrLimitBytes) {
      pieces = [Buffer.concat(pieces).subarray(-stderrLimitBytes)];
      size = stderrLimitBytes;
    }
  });
  return () => Buffer.concat(pieces).subarray(-stderrLimitBytes).toString('utf8');
}
