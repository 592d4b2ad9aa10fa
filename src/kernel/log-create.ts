import { createRequire } from 'node:module';
import type { Level, Logger as PinoLogger, pino as Pino } from 'pino';
import type { Clock } from './clock.ts';
import { LogFile } from './log-file.ts';
import { prettyLine } from './log-pretty.ts';
import type { LogFields, Logger, LogLevel } from './log.ts';
import { toPlain, type Plain } from './plain.ts';
import { redact } from './redact.ts';
import type { Secret } from './secret.ts';

export interface LogOptions {
  readonly clock: Clock;
  readonly level: LogLevel;
  /** Where entries go for people or a collector; absent for none. */
  readonly stream?: {
    readonly write: (text: string) => unknown;
    readonly format: 'json' | 'pretty';
    readonly colour: boolean;
  };
  /** JSON lines into a file that is put aside by size; absent for none. */
  readonly file?: {
    readonly path: string;
    readonly level?: LogLevel;
    readonly maxBytes?: number;
    readonly keepFiles?: number;
  };
  /** Values to mask wherever they turn up, besides what looks like a password. Asked at each entry. */
  readonly secrets?: () => readonly Secret[];
}

export interface OwnedLogger extends Logger, Disposable {}

type Writer = (level: 'debug' | 'info' | 'warn' | 'error', fields: LogFields, message: string) => void;

/**
 * A logger that writes at once, in this thread: an entry is out before the next statement runs, and nothing is lost
 * when the process ends. Secrets are masked in messages, fields and the causes of errors.
 */
export function createLogger(options: LogOptions): OwnedLogger {
  const { stream } = options;
  const secrets = options.secrets ?? ((): readonly Secret[] => []);
  const file = options.file === undefined ? undefined : openFile(options.file, stream?.write);
  const outputs: Output[] = [];
  if (stream !== undefined) outputs.push({ level: options.level, write: writerOf(stream) });
  if (file !== undefined)
    outputs.push({ level: options.file?.level ?? options.level, write: (line) => file.write(line) });
  const least = Math.min(...outputs.map(({ level }) => ranks[level]));
  let root: PinoLogger | undefined;
  const write: Writer = (level, fields, message) => {
    if (ranks[level] < least) return;
    root ??= openPino(outputs, options.clock);
    root[level](toPlain(fields, secrets()), redact(message, secrets()));
  };
  const logger = boundLogger(write, {});
  return Object.assign(logger, { [Symbol.dispose]: () => file?.close() });
}

/** pino's own numbers; `silent` lets nothing pass. */
const ranks: Readonly<Record<LogLevel, number>> = { debug: 20, info: 30, warn: 40, error: 50, silent: 60 };

interface Output {
  readonly level: LogLevel;
  readonly write: (line: string) => void;
}

/** Loaded with the first entry: most commands have none, and PostgreSQL waits for some of them a thousand times. */
function openPino(outputs: readonly Output[], clock: Clock): PinoLogger {
  const { pino } = createRequire(import.meta.url)('pino') as { readonly pino: typeof Pino };
  const levels = outputs.map(({ level }) => level).toSorted((a, b) => ranks[a] - ranks[b]);
  return pino(
    {
      level: pinoLevel(levels[0] ?? 'silent'),
      base: null,
      timestamp: () => `,"time":"${new Date(clock.now()).toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
      // Everything is plain and masked before pino sees it.
      serializers: {},
    },
    pino.multistream(outputs.map(({ level, write }) => ({ level: pinoLevel(level), stream: { write } }))),
  );
}

/** pino has no `silent` for a single stream: above `fatal` nothing passes. */
const pinoLevel = (level: LogLevel): Level => (level === 'silent' ? 'fatal' : level);

function boundLogger(write: Writer, bound: LogFields): Logger {
  const at =
    (level: Parameters<Writer>[0]) =>
    (message: string, fields: LogFields = {}): void =>
      write(level, { ...bound, ...fields }, message);
  return {
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    child: (fields) => boundLogger(write, { ...bound, ...fields }),
  };
}

function writerOf({ write, format, colour }: NonNullable<LogOptions['stream']>): (line: string) => void {
  if (format === 'json') return (line) => void write(line);
  return (line) => void write(prettyLine(JSON.parse(line) as Record<string, Plain>, colour));
}

function openFile(
  options: NonNullable<LogOptions['file']>,
  tell: ((text: string) => unknown) | undefined,
): LogFile {
  const { path, maxBytes = 10 * 1024 * 1024, keepFiles = 5 } = options;
  const onTrouble = (error: Error): void =>
    void tell?.(`cannot write the log file ${path}: ${error.message}\n`);
  return new LogFile({ path, maxBytes, keepFiles, onTrouble });
}
