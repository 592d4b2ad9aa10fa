import { failure } from '../kernel/errors/failure.ts';

export interface GsLocation {
  readonly scheme: 'gs';
  readonly bucket: string;
  /** What every object's name begins with: '' or `folder/…/`. */
  readonly prefix: string;
}

export interface GdriveLocation {
  readonly scheme: 'gdrive';
  /** The id of a folder or a shared drive; `root` is the top of the user's own drive. */
  readonly root: string;
  /** Names of folders below it. */
  readonly folders: readonly string[];
}

const bucketName = /^[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]$/;

/** Reads `gs://bucket/prefix`. Throws `storage_url`. */
export function parseGs(location: string, shown: string): GsLocation {
  const [bucket = '', ...folders] = pathOf(location, shown);
  if (!bucketName.test(bucket) || bucket.includes('..')) {
    const reason = `"${bucket}" is no name of a bucket: 3 to 222 of a-z, 0-9, dot, hyphen and underscore`;
    throw failure('storage_url', { location: shown, reason });
  }
  return { scheme: 'gs', bucket, prefix: folders.map((folder) => `${folder}/`).join('') };
}

/** Reads `gdrive://folder-id/name/…` and `gdrive://root/name/…`. Throws `storage_url`. */
export function parseGdrive(location: string, shown: string): GdriveLocation {
  const [root = '', ...folders] = pathOf(location, shown);
  if (!/^[A-Za-z0-9_-]+$/.test(root)) {
    const reason = `"${root}" is neither root nor the id of a folder, which is the last part of its address in the browser`;
    throw failure('storage_url', { location: shown, reason });
  }
  return { scheme: 'gdrive', root, folders };
}

/** What stands between the slashes, taken as it is: `%` means nothing. */
function pathOf(location: string, shown: string): string[] {
  const wrong = (reason: string): Error => failure('storage_url', { location: shown, reason });
  const rest = /^[a-z]+:\/\/(.*)$/is.exec(location)?.[1];
  if (rest === undefined) throw wrong('it needs two slashes after the scheme');
  if (/[?#]/.test(rest)) throw wrong('? and # have no meaning here');
  if (/\p{Cc}/u.test(rest)) throw wrong('it holds control characters');
  if (rest.split('/')[0]?.includes('@') === true) throw wrong('credentials do not belong into it');
  const parts = rest.replace(/\/$/, '').split('/');
  if (parts.some((part) => ['', '.', '..'].includes(part)))
    throw wrong('a part of its path is empty, . or ..');
  return parts;
}
