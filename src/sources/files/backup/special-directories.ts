import { closeSync, constants, fstatSync, openSync, readSync, statfsSync } from 'node:fs';

const largestBytes = 1024 * 1024;
const cacheSignature = 'Signature: 8a477f597d28d172789f06886806bc55';

/** What the kernel makes up as it is asked, by the number that `statfs` gives: never data, and reading may wait for ever. */
const kernelFileSystems = new Map([
  [0x9fa0, 'proc'],
  [0x62656572, 'sysfs'],
  [0x1cd1, 'devpts'],
  [0x64626720, 'debugfs'],
  [0x74726163, 'tracefs'],
  [0x73636673, 'securityfs'],
  [0x62656570, 'configfs'],
  [0x27e0eb, 'cgroup'],
  [0x63677270, 'cgroup2'],
  [0xcafe4a11, 'bpf'],
  [0x6165676c, 'pstore'],
  [0x19800202, 'mqueue'],
  [0xde5e81e4, 'efivarfs'],
  [0x42494e4d, 'binfmt_misc'],
  [0x65735543, 'fusectl'],
  [0x6e736673, 'nsfs'],
]);

/** The name of the kernel's own file system that a directory is on; undefined for every other. */
export function kernelFileSystem(directory: Buffer): string | undefined {
  try {
    return kernelFileSystems.get(statfsSync(directory).type);
  } catch {
    return undefined;
  }
}

/** Whether a directory that has a `holdfast.json` is a repository of backups. */
export function isRepository(directory: Buffer): boolean {
  try {
    const parsed = JSON.parse(readSmallFile(inside(directory, 'holdfast.json'))) as unknown;
    return (
      typeof parsed === 'object' &&
      parsed !== null &&
      'holdfast' in parsed &&
      parsed.holdfast === 'repository'
    );
  } catch {
    return false;
  }
}

/** Whether the `CACHEDIR.TAG` of a directory has the signature that makes it one. */
export function markedAsCache(directory: Buffer): boolean {
  try {
    return readSmallFile(inside(directory, 'CACHEDIR.TAG')).startsWith(cacheSignature);
  } catch {
    return false;
  }
}

/** The text of a regular file of at most a mebibyte. Throws what the system throws, or says why not. */
export function readSmallFile(path: Buffer): string {
  const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants;
  const file = openSync(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  try {
    const stats = fstatSync(file);
    if (!stats.isFile()) throw new Error('it is no file');
    if (stats.size > largestBytes) throw new Error('it is larger than 1 MiB');
    const bytes = Buffer.alloc(stats.size);
    const length = readSync(file, bytes, 0, bytes.length, 0);
    return bytes.toString('utf8', 0, length);
  } finally {
    closeSync(file);
  }
}

function inside(directory: Buffer, name: string): Buffer {
  return Buffer.concat([directory, Buffer.from(`/${name}`)]);
}
