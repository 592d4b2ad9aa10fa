import { readFile, stat } from 'node:fs/promises';
import { dirname } from 'node:path';

interface Denied {
  readonly reason: string;
  /** What to type. */
  readonly mend: string;
}

/**
 * Who owns the place that refused us, who we are, and the command that mends it.
 *
 * @param path what the refused call was about; it need not exist
 * @param root the repository's directory, which is what a person would give away or make
 */
export async function explainDenied(path: string, root: string): Promise<Denied> {
  const at = await nearestVisible(path);
  if (at === undefined)
    return { reason: `${path} cannot even be looked at`, mend: 'name another place with --repo' };
  const users = await userNames();
  const name = (uid: number): string => users.get(uid) ?? `#${uid}`;
  const me = process.geteuid?.() ?? -1;
  const mode = (at.mode & 0o7777).toString(8).padStart(4, '0');
  const owner = `${at.path} belongs to ${name(at.uid)} (uid ${at.uid}) with mode ${mode}`;
  const reason = `${owner}, and Holdfast runs as ${name(me)} (uid ${me})`;
  const mend = await mendFor(at, root, me, name);
  return { reason, mend: `${mend}, or name another place with --repo` };
}

async function mendFor(
  at: Visible,
  root: string,
  me: number,
  name: (uid: number) => string,
): Promise<string> {
  // chown takes a bare number, sudo one with # before it.
  const user = name(me).replace('#', '');
  if (me === 0) {
    return `root itself is refused: look for an NFS export with root_squash or an immutable flag (lsattr -d ${quote(at.path)})`;
  }
  if (at.uid === me) return `run: chmod u+rwX ${quote(at.path)}`;
  const rootIsMissing =
    at.isDirectory && root.startsWith(at.path === '/' ? '/' : `${at.path}/`) && root !== at.path;
  if (rootIsMissing) return `run: sudo install -d -m 700 -o ${user} ${quote(root)}`;
  // The folder that refused us may be inside the repository; whose the repository is tells who is to run.
  const owner = (await nearestVisible(root))?.uid ?? at.uid;
  const give = `sudo chown -R ${user} ${quote(root)}`;
  if (owner === me) return `take back what another user left in it: ${give}`;
  // Giving it away locks its owner's backups out: it is not the first thing to type.
  return `run it as the owner: sudo -u ${name(owner).replace('#', String.raw`\#`)} holdfast …; or, only if the repository is to belong to ${user} from now on: ${give}`;
}

interface Visible {
  readonly path: string;
  readonly uid: number;
  readonly mode: number;
  readonly isDirectory: boolean;
}

async function nearestVisible(path: string): Promise<Visible | undefined> {
  for (let at = path; ; at = dirname(at)) {
    try {
      const { uid, mode } = await stat(at);
      return { path: at, uid, mode, isDirectory: (mode & 0o170000) === 0o040000 };
    } catch {
      // Not there, or hidden by the folder above it: that one is the place to look at.
      if (dirname(at) === at) return undefined;
    }
  }
}

/** Names of users by their numbers, as far as they are listed here. */
export async function userNames(): Promise<ReadonlyMap<number, string>> {
  let passwd: string;
  try {
    passwd = await readFile('/etc/passwd', 'utf8');
  } catch {
    // Without the list people see numbers, which is enough for chown.
    return new Map();
  }
  const rows = passwd.split('\n').map((line) => line.split(':'));
  return new Map(
    rows.map((row) => [Number(row[2]), row[0] ?? ''] as const).filter(([, name]) => name !== ''),
  );
}

/** For pasting into a shell. */
export function quote(path: string): string {
  return /^[\w/.,:@%+-]+$/.test(path) ? path : `'${path.replaceAll("'", String.raw`'\''`)}'`;
}
