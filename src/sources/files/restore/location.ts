import { pathBytes, pathText } from '../../../kernel/byte-path.ts';

/** Where an entry is put below `base`: text where that is exact, for it is quicker. */
export function locationOf(base: string, path: string): string | Buffer {
  if (path === '.') return base;
  return path.includes('%') ? Buffer.concat([Buffer.from(`${base}/`), pathBytes(path)]) : `${base}/${path}`;
}

/** The same in bytes. */
export function locationBytes(base: string, path: string): Buffer {
  const location = locationOf(base, path);
  return typeof location === 'string' ? Buffer.from(location) : location;
}

/** The same for people. */
export function shownLocation(base: string, path: string): string {
  return path === '.' ? base : `${base}/${path}`;
}

/** A directory in bytes, for names to be put behind it. */
export function withSlash(directory: Buffer): Buffer {
  return directory.at(-1) === 0x2f ? directory : Buffer.concat([directory, Buffer.from('/')]);
}

/** The text of something in the file system below `base`, as entries write it. */
export function entryPath(base: string, name: Uint8Array): string {
  return base === '.' ? pathText(name) : `${base}/${pathText(name)}`;
}
