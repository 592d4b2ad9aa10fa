import { join } from 'node:path';
import { coded, errnoOf, saysAbsent } from './errors.ts';
import type { FsRoot } from './root.ts';
import { removeTemporary } from './write.ts';

/** Longer than any put can stand still; a temporary file this old was left by a crash. */
const staleMs = 24 * 3600 * 1000;

/**
 * Removes temporary files and claims older than 24 hours by the storage's own clock: their modification times are
 * held against that of a file touched now, as the host's clock may be hours away from a file server's.
 * Where nothing can be written (a reader's view) nothing is removed.
 */
export async function sweepTemporaryFiles(root: FsRoot): Promise<void> {
  const deed = { action: 'tidy', name: '.tmp', location: root.location, path: root.temporaryDirectory };
  await coded(deed, async () => {
    const found = await filesWithTimes(root);
    if (found.length === 0) return;
    const nowMs = await storageTime(root);
    if (nowMs === undefined) return;
    for (const { path, modifiedAtMs } of found) {
      if (nowMs - modifiedAtMs <= staleMs) continue;
      await removeTemporary(root, path);
      root.logger.info('removed a temporary file that a crash had left', { path });
    }
  });
}

async function filesWithTimes(root: FsRoot): Promise<{ path: string; modifiedAtMs: number }[]> {
  const found: { path: string; modifiedAtMs: number }[] = [];
  try {
    for (const name of await root.calls.readdir(root.temporaryDirectory)) {
      const path = join(root.temporaryDirectory, name);
      const modifiedAtMs = await modifiedTime(root, path);
      if (modifiedAtMs !== undefined) found.push({ path, modifiedAtMs });
    }
  } catch (error) {
    if (!saysAbsent(error) && !isReadersView(error)) throw error;
  }
  return found;
}

async function modifiedTime(root: FsRoot, path: string): Promise<number | undefined> {
  try {
    const info = await root.calls.stat(path);
    return info.isFile() ? info.mtimeMs : undefined;
  } catch (error) {
    // Another process finished or removed it.
    if (saysAbsent(error)) return undefined;
    throw error;
  }
}

async function storageTime(root: FsRoot): Promise<number | undefined> {
  const path = join(root.temporaryDirectory, root.uniqueName());
  try {
    await using handle = await root.calls.open(path, 'wx', 0o600);
    const { mtimeMs } = await handle.stat();
    await removeTemporary(root, path);
    return mtimeMs;
  } catch (error) {
    if (isReadersView(error)) return undefined;
    throw error;
  }
}

function isReadersView(error: unknown): boolean {
  const errno = errnoOf(error);
  return (
    errno === 'EROFS' || errno === 'EACCES' || errno === 'EPERM' || errno === 'ENOSPC' || errno === 'EDQUOT'
  );
}
