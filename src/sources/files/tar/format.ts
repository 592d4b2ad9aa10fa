/**
 * The tar format of POSIX.1-2001 ("pax"): blocks of 512 bytes, a header before each file, and before that, where it does
 * not fit, another header of type `x` with records of `length key=value`. What is not in the standard is as GNU tar
 * writes it: extended attributes as `SCHILY.xattr.NAME`, files with holes as `GNU.sparse` 1.0.
 */
export const blockBytes = 512;

/** The type flags read or written here. */
export const typeFlags = {
  file: '0',
  hardlink: '1',
  symlink: '2',
  characterDevice: '3',
  blockDevice: '4',
  directory: '5',
  fifo: '6',
  contiguous: '7',
  paxEntry: 'x',
  paxGlobal: 'g',
  gnuLongName: 'L',
  gnuLongLink: 'K',
  volume: 'V',
} as const;

/** Where each field of a header begins, and how long it is. */
export const fields = {
  name: [0, 100],
  mode: [100, 8],
  uid: [108, 8],
  gid: [116, 8],
  size: [124, 12],
  mtime: [136, 12],
  checksum: [148, 8],
  type: [156, 1],
  link: [157, 100],
  magic: [257, 6],
  version: [263, 2],
  prefix: [345, 155],
} as const satisfies Record<string, readonly [number, number]>;

export type Field = keyof typeof fields;

/** How many bytes follow a content of that length to the end of its last block. */
export function paddingBytes(size: number): number {
  return (blockBytes - (size % blockBytes)) % blockBytes;
}

/** The sum of the bytes of a header, the checksum itself counted as spaces. */
export function checksumOf(header: Uint8Array): number {
  const [from, length] = fields.checksum;
  let sum = 0;
  for (let at = 0; at < blockBytes; at += 1)
    sum += at >= from && at < from + length ? 0x20 : (header[at] ?? 0);
  return sum;
}

/** Names of extended attributes within a key: `=` would end it. */
export function xattrKey(name: string): string {
  return `SCHILY.xattr.${name.replaceAll('%', '%25').replaceAll('=', '%3D')}`;
}

export function xattrName(key: string): string {
  return key.slice('SCHILY.xattr.'.length).replaceAll('%3D', '=').replaceAll('%25', '%');
}
