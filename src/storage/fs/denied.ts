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
  return { reason, mend: `${mendFor(at, root, me, name(me))}, or name another place with --repo` };
}

function mendFor(at: Visible, root: string, me: number, myName: string): string {
  const user = myName.startsWith('#') ? myName.slice(1) : myName;
  if (me === 0) {
    return `root itself is refused: look for an NFS export with root_squash or an immutable flag (lsattr -d ${quote(at.path)})`;
  }
  if (at.uid === me) return `run: chmod u+rwX ${quote(at.path)}`;
  const rootIsMissing =
    at.isDirectory && root.startsWith(at.path === '/' ? '/' : `${at.path}/`) && root !== at.path;
  if (rootIsMissing) return `run: sudo install -d -m 700 -o ${user} ${quote(root)}`;
  return `run: sudo chown -R ${user} ${quote(root)}`;
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

async function userNames(): Promise<ReadonlyMap<number, string>> {
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
function quote(path: string): string {
  return /^[\w/.,:@%+-]+$/.test(path) ? path : `'${path.replaceAll("'", String.raw`'\''`)}'`;
}
