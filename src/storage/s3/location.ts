import { failure } from '../../kernel/errors/failure.ts';

export interface S3Location {
  readonly scheme: 's3';
  readonly bucket: string;
  /** What every key begins with: '' or `folder/…/`. */
  readonly prefix: string;
  /** What stands behind `?`: settings for this place alone, not yet read. */
  readonly overrides: Readonly<Record<string, string>>;
}

/** What AWS takes today and took long ago, and what others take. */
const bucketName = /^[A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9]$/;

/** Reads `s3://bucket/prefix?region=…`. Percent signs in the path mean nothing. Throws `storage_url`. */
export function parseS3Location(location: string, shown: string): S3Location {
  const wrong = (reason: string): Error => failure('storage_url', { location: shown, reason });
  const match = /^s3:\/\/([^?#]*)(?:\?([^#]*))?$/is.exec(location);
  if (match === null)
    throw wrong(
      location.includes('#') ? '# has no meaning here' : 'it needs two slashes: s3://bucket/prefix',
    );
  const [, path = '', query = ''] = match;
  const [bucket = '', ...folders] = path.replace(/\/$/, '').split('/');
  if (bucket.includes('@')) throw wrong('credentials do not belong into it');
  if (!bucketName.test(bucket) || bucket.includes('..')) throw wrong(`"${bucket}" is no name of a bucket`);
  if (/\p{Cc}/u.test(path)) throw wrong('it holds control characters');
  if (folders.some((folder) => ['', '.', '..'].includes(folder)))
    throw wrong('a part of its path is empty, . or ..');
  return {
    scheme: 's3',
    bucket,
    prefix: folders.map((folder) => `${folder}/`).join(''),
    overrides: Object.fromEntries(new URLSearchParams(query)),
  };
}

/** The location for people and messages. */
export function showS3Location({ bucket, prefix }: Pick<S3Location, 'bucket' | 'prefix'>): string {
  return `s3://${bucket}${prefix === '' ? '' : `/${prefix.slice(0, -1)}`}`;
}
