import { stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { failure, reasonOf } from '../kernel/errors/failure.ts';
import { quote, userNames } from '../storage/fs/denied.ts';

/** `config_unreadable`, with what lets this very user read the file: that depends on whose it is. */
export async function unreadable(path: string, error: unknown): Promise<Error> {
  const mend = await mendFor(resolve(path), error as NodeJS.ErrnoException);
  return failure('config_unreadable', { path, reason: reasonOf(error), mend }, { cause: error });
}

async function mendFor(path: string, { code }: NodeJS.ErrnoException): Promise<string> {
  if (code === 'EISDIR') return 'it is a directory: name a file';
  if (code !== 'EACCES' && code !== 'EPERM') return 'mend that, or name another file';
  const at = await nearestVisible(path);
  if (at === null) return 'run holdfast as a user who may read it';
  const me = process.geteuid?.() ?? -1;
  if (me === 0) return 'root itself is refused: look for an NFS export with root_squash';
  const isFile = at.path === path;
  if (at.uid === me) return `make it readable: chmod ${isFile ? 'u+r' : 'u+x'} ${quote(at.path)}`;
  const users = await userNames();
  const owner = users.get(at.uid);
  const mode = (at.mode & 0o7777).toString(8).padStart(4, '0');
  const facts = `${at.path} belongs to ${owner ?? 'user'} (uid ${at.uid}) with mode ${mode}${isFile ? '' : ', and you may not enter it'}`;
  const copy = isFile ? 'have a copy of it made for you' : 'have a copy of what is in it made for you';
  return `${facts}: run holdfast as its owner (sudo -u ${owner ?? String.raw`\#${at.uid}`} holdfast …), or ${copy} and name that`;
}

interface Visible {
  readonly path: string;
  readonly uid: number;
  readonly mode: number;
}

/** What hides a file is the directory that cannot be entered: the lowest one of those that can be looked at. */
async function nearestVisible(path: string): Promise<Visible | null> {
  for (let at = path; ; at = dirname(at)) {
    const found = await stat(at).catch(() => null);
    if (found !== null) return { path: at, uid: found.uid, mode: found.mode };
    if (dirname(at) === at) return null;
  }
}
