import { isAbsolute, join, resolve } from 'node:path';
import type { Machine } from './machine.ts';

/** The absolute path that somebody typed: `~` is the home directory, relative ones start at the current directory. */
export function typedPath(text: string, { cwd, home }: Pick<Machine, 'cwd' | 'home'>): string {
  const written = text === '~' || text.startsWith('~/') ? join(home, text.slice(1)) : text;
  return isAbsolute(written) ? resolve(written) : resolve(cwd, written);
}
