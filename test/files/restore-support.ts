import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { type BigIntStats, lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { promisify } from 'node:util';
import { pathText } from '../../src/kernel/byte-path.ts';
import type { ErrorName } from '../../src/kernel/errors/catalogue.ts';
import { isFailure } from '../../src/kernel/errors/failure.ts';
import { entryKinds, type FilesMetadata } from '../../src/sources/files/metadata.ts';
import { PosixHelper } from '../../src/sources/files/posix-helper.ts';
import type { RestoreContext } from '../../src/sources/port.ts';
import type { FilesRestoreOptions } from '../../src/sources/files/restore/options.ts';
import {
  type FilesRestored,
  planFilesRestore,
  runFilesRestore,
} from '../../src/sources/files/restore/restore.ts';
import { MemoryBackup } from '../../testing/memory-backup.ts';

export const run = promisify(execFile);
export const isRoot = process.geteuid?.() === 0;
export const instant = Date.UTC(2026, 10, 21, 14, 30, 5);

export const metadata: FilesMetadata = {
  schema: 1,
  roots: [{ path: '/srv/uploads', at: '.' }],
  files: 0,
  directories: 0,
  symlinks: 0,
  hardlinks: 0,
  bytes: 0,
  unchanged: 0,
  changed: 0,
  vanished: 0,
  unreadable: 0,
  left_out: 0,
  xattrs: true,
};

let lastToken = 0;

export function optionsFor(target: string, more: Partial<FilesRestoreOptions> = {}): FilesRestoreOptions {
  return {
    target,
    only: [],
    force: false,
    check: true,
    owner: true,
    randomHex: (bytes) => (lastToken += 1).toString(16).padStart(bytes * 2, '0'),
    now: () => instant,
    ...more,
  };
}

export async function restoreTo(
  memory: MemoryBackup,
  target: string,
  more: Partial<FilesRestoreOptions> = {},
  change: (context: RestoreContext) => RestoreContext = (context) => context,
): Promise<FilesRestored> {
  const context = change(memory.restoreContext(metadata));
  return await runFilesRestore(await planFilesRestore(optionsFor(target, more), context), context);
}

/** The entries of a tree as it is, written down here without the backup's own code. */
export async function treeBackup(top: string, at = '.'): Promise<MemoryBackup> {
  const memory = new MemoryBackup();
  await using helper = await PosixHelper.start(new AbortController().signal);
  const seen = new Map<string, string>();
  await addTree(memory, helper, seen, Buffer.from(top), at);
  return memory;
}

async function addTree(
  memory: MemoryBackup,
  helper: PosixHelper | null,
  seen: Map<string, string>,
  location: Buffer,
  path: string,
): Promise<void> {
  const stats = lstatSync(location, { bigint: true });
  const [found] = helper === null ? [] : await helper.xattrs([location]);
  const xattrs = typeof found === 'object' && Object.keys(found).length > 0 ? { xattrs: found } : {};
  const common = { ...commonMeta(stats), ...xattrs };
  const add = (kind: string, meta: Record<string, unknown>, content?: Buffer): Promise<void> =>
    addEntry(memory, path, kind, meta, content);
  if (stats.isDirectory()) {
    await add(entryKinds.directory, common);
    for (const name of readdirSync(location, { encoding: 'buffer' }).toSorted((one, other) =>
      Buffer.compare(one, other),
    )) {
      const text = pathText(name);
      const inside = Buffer.concat([location, Buffer.from('/'), name]);
      await addTree(memory, helper, seen, inside, path === '.' ? text : `${path}/${text}`);
    }
  } else if (stats.isSymbolicLink()) {
    await add(entryKinds.symlink, { ...common, target: pathText(readlinkSync(location, 'buffer')) });
  } else if (seen.has(String(stats.ino))) {
    await add(entryKinds.hardlink, { target: seen.get(String(stats.ino)) });
  } else {
    seen.set(String(stats.ino), path);
    const sparse = stats.blocks * 512n < stats.size ? { sparse: true } : {};
    const meta = { ...common, ctime: String(stats.ctimeNs), inode: String(stats.ino), ...sparse };
    await add(entryKinds.file, meta, readFileSync(location));
  }
}

function commonMeta(stats: BigIntStats): Record<string, unknown> {
  return {
    mode: Number(stats.mode & 0o7777n),
    uid: Number(stats.uid),
    gid: Number(stats.gid),
    mtime: String(stats.mtimeNs),
  };
}

export async function addEntry(
  memory: MemoryBackup,
  path: string,
  kind: string,
  meta: Record<string, unknown>,
  content?: Uint8Array,
): Promise<void> {
  let stream = null;
  if (content !== undefined) {
    const writer = memory.backupContext().openStream({ type: 'content', averageBytes: 1_048_576 });
    await writer.write(content);
    stream = await writer.finish();
  }
  await memory.backupContext().addEntry({ path, kind, stream, meta });
}

const mine = {
  uid: process.geteuid?.() ?? 0,
  gid: process.getegid?.() ?? 0,
  mtime: '1700000000123456789',
};

/** A backup written by hand: directories end in a slash, links have an arrow, others content. */
export async function writtenBackup(
  lines: readonly (string | readonly [string, Uint8Array])[],
): Promise<MemoryBackup> {
  const memory = new MemoryBackup();
  for (const line of lines) {
    const [text, content] = typeof line === 'string' ? [line, undefined] : line;
    const [path = '', target] = text.split(' -> ');
    const [name = '', first] = text.split(' => ');
    const inode = String(memory.entries.length);
    if (content !== undefined)
      await addEntry(memory, path, entryKinds.file, { ...mine, mode: 0o644, ctime: '0', inode }, content);
    else if (first !== undefined) await addEntry(memory, name, entryKinds.hardlink, { target: first });
    else if (target !== undefined)
      await addEntry(memory, path, entryKinds.symlink, { ...mine, mode: 0o777, target });
    else if (path.endsWith('/'))
      await addEntry(memory, path.slice(0, -1), entryKinds.directory, { ...mine, mode: 0o755 });
    else
      await addEntry(
        memory,
        path,
        entryKinds.file,
        { ...mine, mode: 0o644, ctime: '0', inode },
        Buffer.from(`content of ${path}`),
      );
  }
  return memory;
}

/** Everything in a directory but itself and its time, by a program that is not ours. */
export async function listing(directory: string): Promise<string[]> {
  const format = String.raw`%P %y %m %U %G %T@ %s %l\0`;
  const { stdout } = await run('find', [directory, '-mindepth', '1', '-printf', format], {
    encoding: 'latin1',
    maxBuffer: 64 * 1024 * 1024,
  });
  // How much room a directory takes depends on what was ever in it.
  return stdout
    .split('\0')
    .filter(Boolean)
    .map((line) => line.replace(/^(.* d .*) \d+ $/, '$1'))
    .toSorted();
}

/** What another program finds different between two trees: nothing when they are equal. */
export async function differences(one: string, other: string): Promise<string> {
  const flags = ['-aHAXn', '--delete', '--checksum', '--itemize-changes', '--numeric-ids'];
  const { stdout } = await run('rsync', [...flags, `${one}/`, `${other}/`]);
  return stdout;
}

/** All there is in a directory, for comparing it with itself later: also inodes, which nothing may have changed. */
export async function snapshot(directory: string): Promise<string[]> {
  const format = String.raw`%P %y %m %U %G %s %l %i %n\0`;
  const { stdout } = await run('find', [directory, '-printf', format], { encoding: 'latin1' });
  return stdout.split('\0').filter(Boolean).toSorted();
}

/** For `assert.rejects`: an error of this name, whose message and hint say this. */
export function refused(name: ErrorName, words: RegExp) {
  return (error: unknown): boolean => {
    assert.ok(isFailure(error, name), String(error));
    assert.match(`${error.message}; ${error.hint}`, words);
    return true;
  };
}

/** So that whoever is not root can remove it. */
export function opened(directory: string): AsyncDisposable {
  return { [Symbol.asyncDispose]: async () => void (await run('chmod', ['-R', 'u+rwX', directory])) };
}

/** A tree with everything that a restore has to know about. */
export async function makeTree(top: string): Promise<void> {
  const script = `
    set -e
    mkdir -p "$1" && cd "$1"
    mkdir -p a/b/c empty 'with space' shut
    printf 'one' > a/one; printf '' > a/b/nothing; head -c 300000 /dev/urandom > a/b/middle
    head -c 9000000 /dev/urandom > a/b/c/large
    truncate -s 20M sparse; printf 'x' | dd of=sparse bs=1 seek=8000000 conv=notrunc status=none
    truncate -s 1M hole; cp --sparse=never /dev/null full; head -c 1048576 /dev/zero > full
    for i in $(seq 1 700); do printf "file $i" > with\\ space/$i; done
    ln a/one a/b/first; ln a/one zz-last; ln sparse sparse2
    ln -s one a/link; ln -s /nowhere/at/all dangling; ln -s . loop
    printf 'bytes' > "$(printf 'not-utf8-\\377\\376')"; printf 'p' > '100%25 %'; printf 'n' > "$(printf 'new\\nline')"
    printf 'u' > ünïcödé; ln -s "$(printf 'to-\\377')" "$(printf 'l-\\377')"
    chmod 0400 a/one; chmod 2755 a; chmod 1777 empty; chmod 4755 a/b/middle; chmod 0555 a/b/c
    touch -d '1999-12-31 23:59:59.123456789' a/one with\\ space; touch -h -d '2001-01-01 00:00:00.000000001' dangling
    touch -d '1960-05-05 05:05:05.987654321' full
    setfattr -n user.one -v first a/one 2>/dev/null || true
    setfattr -n user.dir -v 'of a directory' shut; setfattr -n user.large -v large a/b/c/large
    setfacl -m u:1234:rx shut a/b/middle; setfacl -d -m g:4321:rwx shut
    printf 'in' > shut/in; chmod 0500 shut`;
  await run('bash', ['-c', script, 'bash', top]);
  if (!isRoot) return;
  const owners = `cd "$1"; chmod 0 a/b/nothing; chown 1000:1001 a/one empty; chown -h 1002:1003 dangling; chown 0:5 a; chmod 2755 a
    setcap cap_net_raw+ep full || true; setfattr -n trusted.x -v y full`;
  await run('bash', ['-c', owners, 'bash', top]);
}

/** Extended attributes and access lists of everything, by programs that are not ours. */
export async function attributes(directory: string): Promise<string> {
  const script = 'cd "$1" && getfattr -R -h -d -m - . | sort && getfacl -R -n . | sort';
  return (await run('bash', ['-c', script, 'bash', directory])).stdout;
}
