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
  const log = await createLogger({
    clock: machine.clock,
    level: shownLevel,
    stream: { write: (text) => observer.logLine(text), format: config.log.format, colour: observer.colour },
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
  return { log, audit, secrets, [Symbol.dispose]: () => log[Symbol.dispose]() };
}

function* secretsIn(value: unknown): Generator<Secret> {
  if (value instanceof Secret) yield value;
  else if (typeof value === 'object' && value !== null) for (const item of Object.values(value)) yield* secretsIn(item);
}
