import { randomBytes } from 'node:crypto';
import { link, mkdir, open, readFile, rename, stat, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { failure, reasonOf } from '../kernel/errors/failure.ts';
import { Secret } from '../kernel/secret.ts';
import { firstLine } from './secret-file.ts';

/** Where the key file of a repository is, if init made one. */
export function keyFilePath(keysDirectory: string, repositoryId: string): string {
  return join(keysDirectory, `${repositoryId}.key`);
}

/**
 * The secret in a key file; undefined when there is no such file. Throws `key_file_unsafe` when it is not a plain
 * file, is somebody else's, or can be read by anybody else: then the secret may be known already.
 */
export async function readKeyFile(path: string, uid: number | undefined): Promise<Secret | undefined> {
  const reason = await unsafeReason(path, uid);
  if (reason === 'missing') return undefined;
  if (reason !== undefined) throw failure('key_file_unsafe', { path, ...reason });
  const line = firstLine(await readFile(path, 'utf8'));
  if (line === '') throw failure('secret_file_empty', { path, setting: 'the key file' });
  return new Secret(line);
}

/** What is wrong with a key file, and its mend; undefined when nothing is. */
export async function unsafeReason(
  path: string,
  uid: number | undefined,
): Promise<{ readonly reason: string; readonly mend: string } | 'missing' | undefined> {
  let info;
  try {
    info = await stat(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 'missing';
    return { reason: reasonOf(error), mend: `make it readable for this user alone: chmod 600 ${path}` };
  }
  if (!info.isFile()) return { reason: 'it is not a file', mend: `move it away: mv ${path} ${path}.old` };
  if (uid !== undefined && info.uid !== uid) {
    return {
      reason: `it belongs to user id ${info.uid}, and you are ${uid}`,
      mend: `take it over: chown ${uid} ${path}`,
    };
  }
  // The mode bits say nothing on Windows, where there is no user id either.
  if (uid !== undefined && (info.mode & 0o077) !== 0) {
    const mode = (info.mode & 0o777).toString(8).padStart(4, '0');
    return { reason: `others can read or change it (mode ${mode})`, mend: `close it: chmod 600 ${path}` };
  }
  return undefined;
}

/** A random key: 256 bits, in letters that survive being typed off paper. */
function newRandomKey(): Secret {
  return new Secret(randomBytes(32).toString('base64url'));
}

/** Makes a random key in a new file of mode 0600, durably. Throws `key_file_failed` when anything is there already. */
export async function createKeyFile(path: string): Promise<Secret> {
  const secret = newRandomKey();
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    await writeDurably(path, `${secret.reveal()}\n`);
  } catch (error) {
    throw failure('key_file_failed', { path, reason: reasonOf(error) }, { cause: error });
  }
  return secret;
}

/** Moves a key file out of the way, never over another; gives its new path. */
export async function retireKeyFile(path: string, nowMs: number): Promise<string> {
  const retired = retiredName(path, nowMs);
  await link(path, retired);
  await unlink(path);
  await syncDirectory(dirname(path));
  return retired;
}

/**
 * Puts another secret into a key file, durably and with mode 0600; gives the path where the old one is kept. At every
 * moment one of the two is at `path`, whole.
 */
export async function replaceKeyFile(path: string, secret: Secret, nowMs: number): Promise<string> {
  const retired = retiredName(path, nowMs);
  const next = `${retired}.new`;
  try {
    await writeDurably(next, `${secret.reveal()}\n`);
    await link(path, retired);
    await rename(next, path);
    await syncDirectory(dirname(path));
  } catch (error) {
    throw failure('key_file_failed', { path, reason: reasonOf(error) }, { cause: error });
  }
  return retired;
}

/** Throws `key_weak` for a secret that would not come back from a key file as it is. */
export function refuseUnfit(secret: Secret): void {
  const line = secret.reveal();
  if (firstLine(line) !== line)
    throw failure('key_weak', { reason: 'it goes into the key file, which holds one line' });
}

function retiredName(path: string, nowMs: number): string {
  const moment = new Date(nowMs).toISOString().replaceAll(/[-:]|\.\d+/g, '');
  return path.replace(/\.key$/, `.retired-${moment}-${randomBytes(2).toString('hex')}.key`);
}

async function writeDurably(path: string, text: string): Promise<void> {
  await using file = await open(path, 'wx', 0o600);
  await file.writeFile(text);
  await file.sync();
  await syncDirectory(dirname(path));
}

async function syncDirectory(path: string): Promise<void> {
  await using directory = await open(path, 'r');
  await directory.sync();
}
