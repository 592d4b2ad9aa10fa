import { rmdir, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { parseLocation } from '../storage/open.ts';
import type { App } from './compose.ts';

/**
 * The directories that making a repository in the configured place, or in the one that may take its part, would have
 * to make; the deepest first.
 */
export async function directoriesToMake(app: App): Promise<readonly string[]> {
  const { cwd, home } = app.machine;
  const locations = [app.config.repository];
  if (!app.settings.repositoryNamed) locations.push(join(app.directories.data, 'holdfast', 'backups'));
  const missing: string[] = [];
  for (const location of locations) {
    const place = parseLocation(location, { cwd, home });
    if (place.scheme === 'file') missing.push(...(await missingOnTheWay(join(place.directory, '.tmp'))));
  }
  return missing;
}

async function missingOnTheWay(path: string): Promise<string[]> {
  const missing: string[] = [];
  for (let at = path; dirname(at) !== at && !(await isThere(at)); at = dirname(at)) missing.push(at);
  return missing;
}

async function isThere(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    // What cannot be looked at was not made by us.
    return (error as NodeJS.ErrnoException).code !== 'ENOENT';
  }
}

/** Removes those of them that are empty. Whoever else works there at once makes what he needs anew. */
export async function removeEmpty(directories: readonly string[]): Promise<void> {
  for (const directory of directories) await rmdir(directory).catch(() => undefined);
}
