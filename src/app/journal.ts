import type { Config } from '../contract/config.ts';
import { AuditTrail, systemActor } from '../kernel/audit.ts';
import { createLogger } from '../kernel/log-create.ts';
import type { Logger } from '../kernel/log.ts';
import { Secret } from '../kernel/secret.ts';
import type { Directories } from './directories.ts';
import type { Machine } from './machine.ts';
import type { Observer } from './observer.ts';

/** Log file and audit trail of one command. */
export interface Journal extends Disposable {
  readonly log: Logger;
  readonly audit: AuditTrail;
  /** Masked wherever they would turn up in the log or the trail. Those found later are added. */
  readonly secrets: Secret[];
  /** Logs into the file alone: for what people are told in another way. */
  quietly(write: (log: Logger) => void): void;
}

export interface JournalOptions {
  readonly config: Config;
  readonly directories: Directories;
  readonly machine: Machine;
  readonly observer: Observer;
  /** The least serious entry that people see beside what the command itself says. */
  readonly shownLevel: 'debug' | 'info' | 'warn' | 'error';
}

export async function openJournal(options: JournalOptions): Promise<Journal> {
  const { config, directories, machine, observer, shownLevel } = options;
  const secrets = [...secretsIn(config)];
  // The logger writes before it returns, so a flag around the call is enough.
  let muted = false;
  const write = (text: string): void => {
    if (!muted) observer.logLine(text);
  };
  const log = createLogger({
    clock: machine.clock,
    level: shownLevel,
    stream: { write, format: config.log.format, colour: observer.colour },
    file: {
      path: directories.logFile,
      level: config.log.level,
      maxBytes: config.log.max_size,
      keepFiles: config.log.keep,
    },
    secrets: () => secrets,
  });
  const audit = new AuditTrail({
    path: directories.auditFile,
    clock: machine.clock,
    actor: systemActor(),
    onTrouble: (message) => observer.notice({ level: 'warning', message }),
    secrets: () => secrets,
  });
  const quietly = (entry: (log: Logger) => void): void => {
    muted = true;
    entry(log);
    muted = false;
  };
  return { log, audit, secrets, quietly, [Symbol.dispose]: () => log[Symbol.dispose]() };
}

/** URLs are left out: only the password in them is secret, and it is recognized as such wherever a URL stands. */
function* secretsIn(value: unknown): Generator<Secret> {
  if (value instanceof Secret) {
    if (!/^[a-z]+:\/\//i.test(value.reveal())) yield value;
  } else if (typeof value === 'object' && value !== null)
    for (const item of Object.values(value)) yield* secretsIn(item);
}
