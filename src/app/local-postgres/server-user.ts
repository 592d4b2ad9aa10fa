import { execFileSync } from 'node:child_process';
import { statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';

/** The OS user a PostgreSQL server runs as when we are root, which PostgreSQL refuses to be. */
export interface ServerUser {
  readonly uid: number;
  readonly gid: number;
}

/** `undefined`: we are not root, so the server runs as ourselves. */
export function serverUser(): ServerUser | undefined {
  if (process.getuid?.() !== 0) return undefined;
  for (const name of ['postgres', 'nobody']) {
    const uid = idOf('-u', name);
    const gid = idOf('-g', name);
    if (uid !== undefined && gid !== undefined) return { uid, gid };
  }
  throw new Error('running as root, and there is neither a user postgres nor nobody to run a server as');
}

function idOf(flag: '-u' | '-g', name: string): number | undefined {
  try {
    return Number(
      execFileSync('id', [flag, name], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }),
    );
  } catch {
    // `id` fails for an unknown user: that is the answer.
    return undefined;
  }
}

/** Whether `user` may enter every directory on the way to `path`, and enter or execute `path` itself. */
export function canReach(path: string, user: ServerUser | undefined): boolean {
  if (user === undefined) return true;
  for (let current = resolve(path); ; current = dirname(current)) {
    const { mode, uid, gid } = statSync(current);
    const bit = uid === user.uid ? 0o100 : gid === user.gid ? 0o010 : 0o001;
    if ((mode & bit) === 0) return false;
    if (current === dirname(current)) return true;
  }
}

/** Whether `user` may read that file, as far as its rights tell; true for what is not there or cannot be looked at. */
export function canRead(path: string, user: ServerUser): boolean {
  try {
    const { mode, uid, gid } = statSync(path);
    const bit = uid === user.uid ? 0o400 : gid === user.gid ? 0o040 : 0o004;
    return (mode & bit) !== 0 && canReach(dirname(resolve(path)), user);
  } catch {
    return true;
  }
}

/** A directory for short-lived files that `user` can reach: the temporary directory, or `/tmp`. */
export function reachableTemp(user: ServerUser | undefined, wanted: string): string {
  return canReach(join(wanted, '.'), user) ? wanted : '/tmp';
}
