import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { failure, reasonOf } from '../kernel/errors/failure.ts';
import type { App } from './compose.ts';
import { randomHex } from './random-hex.ts';

/**
 * Leaves a small file of JSON where monitors look at the age of files (`status_directory`). It replaces the one before in
 * one step, so its time is that of the last success. That it could not be written is told, and no failure.
 */
export async function leaveStatus(
  app: App,
  name: string,
  contents: Readonly<Record<string, unknown>>,
): Promise<void> {
  const { status_directory: directory } = app.config;
  if (directory === undefined) return;
  // A source of a command line may be called anything.
  const own = name.replaceAll(/[^A-Za-z0-9._-]/g, '_');
  const path = join(directory, own);
  const passing = join(directory, `.${own}.${randomHex(8)}`);
  try {
    await mkdir(directory, { recursive: true });
    await writeFile(passing, `${JSON.stringify({ schema: 1, ...contents })}\n`, { mode: 0o644, flag: 'wx' });
    await rename(passing, path);
  } catch (error) {
    await rm(passing, { force: true }).catch(() => {}); // What hinders the one hinders the other.
    const { code, message, hint } = failure('status_unwritable', { path, reason: reasonOf(error) });
    app.log.warn(message, { code });
    app.observer.notice({ level: 'warning', message: `[${code}] ${message}`, hint });
  }
}
