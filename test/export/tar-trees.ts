import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { importTarFile } from '../../src/sources/files/tar/import.ts';
import { planFilesExport } from '../../src/sources/files/tar/export.ts';
import { MemoryBackup } from '../../testing/memory-backup.ts';
import { shell } from './support.ts';

/** A tree of everything that names, links, times, modes and contents can be. */
export async function makeTree(parent: string, name: string): Promise<void> {
  const tree = join(parent, name);
  await mkdir(tree);
  await shell(
    String.raw`
    long=$(printf 'n%.0s' {1..250})
    mkdir -p "plain/sub" empty "a b" $'bytes \xff\xfe' "$long/$long/$long"
    echo content > plain/file; : > plain/nothing; echo x > "plain/-dash"; echo y > $'plain/new\nline'
    echo z > $'bytes \xff\xfe/\x80'; echo "$long" > "$long/$long/$long/$long"
    echo p > 'plain/100% %41 \back'; echo 'ü' > plain/ümlaut; echo q > 'plain/sub.txt'; echo r > plain/sub/r
    seq 1 900000 > big; head -c 3000000 /dev/urandom > random
    ln -s plain/file link; ln -s "$long/$long/$long/$long" longlink; ln -s $'\xfe' badlink; ln -s nowhere dangling
    ln plain/file plain/sub/other; ln plain/file "a b/a first name"; ln "$long/$long/$long/$long" plain/long
    truncate -s 300M holes; printf middle | dd of=holes bs=1 seek=150000001 conv=notrunc status=none
    printf end | dd of=holes bs=1 seek=314572797 conv=notrunc status=none
    truncate -s 20M allholes; truncate -s 5M mixed; seq 1 50000 | dd of=mixed bs=4096 seek=200 conv=notrunc status=none
    chmod 4755 plain/file; chmod 600 big; chmod 1777 empty; chmod 2750 plain/sub
    touch -d '2001-02-03 04:05:06.123456789Z' plain/nothing; touch -d '1960-01-01 00:00:00.25Z' plain/-dash
    touch -h -d '2010-01-01 00:00:00.000000001Z' link; touch -d '2500-01-01Z' random
    touch -d '1999-12-31 23:59:59.999999999Z' empty plain/sub 'a b'; touch -d '2020-02-02Z' plain .
    `,
    tree,
  );
  await shell(
    `setfattr -n user.note -v 'some value' big; setfattr -n user.bytes -v 0x00ff0a3d plain/sub;
     setfattr -n 'user.a=b%c' -v x plain/file`,
    tree,
  ).catch(() => undefined); // this file system has none
}

/** All that can be seen of a tree, one line for each name; equal exactly when the trees are. */
export async function describeTree(tree: string): Promise<string> {
  const found = await shell(
    String.raw`find . -printf '%P|%y|%m|%U|%G|%T@|%l|%n' -type d -printf '|\0' -o -printf '|%P|%y|%m|%U|%G|%s|%T@|%l|%n\0' | sort -z | tr '\0' '\n' | base64 -w 0
    find . -type f -print0 | sort -z | xargs -0 sha256sum | base64 -w 0
    getfattr -R -h -d -m - -e base64 . 2>/dev/null | base64 -w 0`,
    tree,
  );
  return found
    .split('\n')
    .map((part) => Buffer.from(part, 'base64').toString('latin1'))
    .join('\n');
}

/** A backup made of a tar file, and how many warnings came with it. */
export async function imported(path: string, gzip: boolean, temporaryDirectory: string) {
  const memory = new MemoryBackup();
  const outcome = await importTarFile(
    { path, gzip, shown: 'archive', temporaryDirectory, now: Date.now },
    memory.backupContext(),
  );
  return { memory, ...outcome };
}

/** The tar file of such a backup. */
export async function exported(
  { memory, metadata }: Awaited<ReturnType<typeof imported>>,
  only: readonly string[] = [],
): Promise<Buffer> {
  const context = memory.restoreContext(metadata);
  const [item] = await planFilesExport({ only }, context);
  const pieces: Buffer[] = [];
  const write = async (bytes: Uint8Array): Promise<void> => void pieces.push(Buffer.from(bytes));
  await item?.write({ write, overwriteStart: () => Promise.reject(new Error('no')) }, context);
  return Buffer.concat(pieces);
}
