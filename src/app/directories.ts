import { tmpdir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import type { Config } from '../contract/config.ts';
import type { Machine } from './machine.ts';

/** Where Holdfast keeps its own things, after the XDG base directory specification. All absolute. */
export interface Directories {
  /** Key files: `<keys>/<repository id>.key`. */
  readonly keys: string;
  readonly config: string;
  readonly cache: string;
  readonly data: string;
  /** What commands leave for the next ones; it may be deleted when none runs. */
  readonly state: string;
  readonly temp: string;
  readonly logFile: string;
  readonly auditFile: string;
}

export function chooseDirectories(config: Config, machine: Pick<Machine, 'env' | 'home'>): Directories {
  const base = (variable: string, ...otherwise: string[]): string => {
    const value = machine.env[variable];
    // The specification says to ignore a relative one.
    return value !== undefined && isAbsolute(value) ? value : join(machine.home, ...otherwise);
  };
  const configHome = join(base('XDG_CONFIG_HOME', '.config'), 'holdfast');
  const state = join(base('XDG_STATE_HOME', '.local', 'state'), 'holdfast');
  return {
    keys: join(configHome, 'keys'),
    config: configHome,
    cache: config.cache_directory ?? join(base('XDG_CACHE_HOME', '.cache'), 'holdfast'),
    state,
    data: base('XDG_DATA_HOME', '.local', 'share'),
    temp: config.temp_directory ?? tmpdir(),
    logFile: config.log.file ?? join(state, 'holdfast.log'),
    auditFile: config.audit.file ?? join(state, 'audit.jsonl'),
  };
}
