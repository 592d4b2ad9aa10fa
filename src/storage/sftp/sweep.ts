import { statuses } from './codec.ts';
import { removeTemporary } from './publish.ts';
import { hasStatus, type Remote } from './remote.ts';
import type { SftpRoot } from './root.ts';

/** Longer than any put can stand still; a temporary file this old was left by a crash. */
const staleS = 24 * 3600;

/**
 * Removes temporary files older than 24 hours by the server's own clock: their times are held against that of a file
 * made now. Where nothing can be written nothing is removed.
 */
export async function sweepTemporaryFiles(root: SftpRoot, remote: Remote): Promise<void> {
  const folder = root.temporaryDirectory;
  const found = (await readable(remote.readFolder(folder))) ?? [];
  const files = found.filter(({ kind }) => kind === 'file');
  if (files.length === 0) return;
  const nowS = await serverTime(root, remote);
  if (nowS === undefined) return;
  for (const { name, modifiedAtS = nowS } of files) {
    if (nowS - modifiedAtS <= staleS) continue;
    const path = `${folder}/${name}`;
    await removeTemporary(root, remote, path);
    root.logger.info('removed a temporary file that a crash had left', { path });
  }
}

async function serverTime(root: SftpRoot, remote: Remote): Promise<number | undefined> {
  const path = `${root.temporaryDirectory}/${root.uniqueName()}`;
  const handle = await readable(remote.create(path, 0o600));
  if (handle === undefined) return undefined;
  const info = await remote.stat(path);
  await remote.close(handle);
  await removeTemporary(root, remote, path);
  return info?.modifiedAtS;
}

/** Undefined for a reader's view: a place that may not be written, or whose unfinished files may not be seen. */
async function readable<T>(asking: Promise<T>): Promise<T | undefined> {
  try {
    return await asking;
  } catch (error) {
    if (hasStatus(error, statuses.permissionDenied, statuses.failure, statuses.unsupported)) return undefined;
    throw error;
  }
}
