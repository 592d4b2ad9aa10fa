import { homedir, hostname, userInfo } from 'node:os';
import { systemClock, type Clock } from '../kernel/clock.ts';

/** What the program may know of the process it runs in. Tests hand in their own. */
export interface Machine {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  readonly home: string;
  readonly host: string;
  readonly user: string;
  /** Undefined where the system has none. */
  readonly uid: number | undefined;
  readonly clock: Clock;
}

export function systemMachine(): Machine {
  return {
    env: process.env,
    cwd: currentDirectory(),
    home: homedir(),
    host: hostname(),
    user: userName(),
    uid: process.getuid?.(),
    clock: systemClock,
  };
}

/** Where that is gone, as after a removal, its name: whatever is looked for there is then told to be missing. */
function currentDirectory(): string {
  try {
    return process.cwd();
  } catch {
    return process.env['PWD'] ?? '/nonexistent';
  }
}

/** A user id may have no name, in containers above all. */
function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return process.env['USER'] ?? process.env['LOGNAME'] ?? String(process.getuid?.() ?? 'unknown');
  }
}
