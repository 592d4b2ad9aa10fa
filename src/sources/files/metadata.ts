import { z } from 'zod';

const count = z.number().int().nonnegative();
/** Nanoseconds since 1970, which no double can hold. */
const instantNs = z.string().regex(/^-?\d+$/);

/**
 * What entries of a `files` backup are. Their order: each directory before what is in it, and what is in it by the bytes
 * of its names. `path` is relative to where the backup is restored, `.` for that place itself, written as `pathText` does.
 */
export const entryKinds = {
  directory: 'files.directory',
  file: 'files.file',
  symlink: 'files.symlink',
  /** Another name of a file that came before. */
  hardlink: 'files.hardlink',
} as const;

const common = {
  /** The lower twelve bits. */
  mode: count,
  uid: count,
  gid: count,
  mtime: instantNs,
  /** Extended attributes by name, values in base64; absent when there are none or they were not read. */
  xattrs: z.record(z.string(), z.string()).optional(),
};

/** `meta` of a directory. */
export const directoryMetaSchema = z.strictObject(common);

/** `meta` of a file. With size and mtime, ctime and inode tell whether it was touched since. */
export const fileMetaSchema = z.strictObject({
  ...common,
  ctime: instantNs,
  inode: z.string(),
  /** It had holes: it is restored with holes where there are zeros. */
  sparse: z.literal(true).optional(),
  /** It changed while it was read, each time it was tried. */
  changed: z.literal(true).optional(),
});

/** `meta` of a symbolic link. `target` is written as `pathText` does. */
export const symlinkMetaSchema = z.strictObject({ ...common, target: z.string() });

/** `meta` of a hard link. `target` is the path of the entry it is another name of. */
export const hardlinkMetaSchema = z.strictObject({ target: z.string() });

/** What a manifest says of a backup of kind `files`. */
export const filesMetadataSchema = z.strictObject({
  schema: z.literal(1),
  /** What was backed up: absolute paths as `pathText` writes them, and the path of each one's entry. */
  roots: z.array(z.strictObject({ path: z.string(), at: z.string() })).min(1),
  files: count,
  directories: count,
  symlinks: count,
  hardlinks: count,
  /** Sizes of all files, holes included, hard links once. */
  bytes: count,
  /** Files taken over from the backup before without being read. */
  unchanged: count,
  /** Files that changed while they were read; those that were gone when it was their turn; those that could not be read. */
  changed: count,
  vanished: count,
  unreadable: count,
  /** Sockets, devices and pipes, which are not in the backup. */
  left_out: count,
  /** Whether extended attributes were read. */
  xattrs: z.boolean(),
  /** How many things are in the backup without their extended attributes because those could not be read; absent for none. */
  unreadable_xattrs: count.optional(),
});

export type DirectoryMeta = z.infer<typeof directoryMetaSchema>;
export type FileMeta = z.infer<typeof fileMetaSchema>;
export type SymlinkMeta = z.infer<typeof symlinkMetaSchema>;
export type HardlinkMeta = z.infer<typeof hardlinkMetaSchema>;
export type FilesMetadata = z.infer<typeof filesMetadataSchema>;
