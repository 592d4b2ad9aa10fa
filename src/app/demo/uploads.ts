import {
  chmod,
  lstat,
  lutimes,
  mkdir,
  open,
  readdir,
  rename,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { invoice, noise, picture } from './generated-files.ts';

// What customers see and get from the shop, as files. The shop's time, so that the demo is the same on every day.

const shelves = ['audio', 'bedroom', 'camping', 'clothing', 'home', 'kitchen', 'office', 'outdoor'] as const;
const picturesOnShelf = 30;
const invoicesInMonth = 10;
const firstInvoice = 100_001;
const opened = Date.UTC(2026, 8, 19, 6) / 1000;
const today = Date.UTC(2026, 8, 20, 18) / 1000;

export interface UploadsDay {
  readonly added: number;
  readonly changed: number;
  readonly moved: number;
  readonly removed: number;
}

/** Fills the directory `root`, which is not there yet. */
export async function openUploads(root: string): Promise<void> {
  await mkdir(root);
  for (const [shelf, name] of shelves.entries()) {
    await mkdir(join(root, 'products', name), { recursive: true });
    for (let at = 1; at <= picturesOnShelf; at += 1)
      await put(join(root, pictureOf(name, at)), picture(shelf * 1000 + at, 56, 42));
  }
  for (let month = 1; month <= 9; month += 1) await writeInvoices(root, month, 0);
  await symlink('2026-09', join(root, 'invoices', 'latest'));
  await mkdir(join(root, 'returns'));
  await chmod(join(root, 'returns'), 0o750);
  await put(join(root, 'backdrop.png'), picture(77, 640, 480));
  await put(join(root, 'Größen und Maße.txt'), Buffer.from('S 46 cm, M 50 cm, L 54 cm, XL 58 cm\n'));
  await writeSparse(join(root, 'scans.img'));
  await settle(root, opened);
}

/** New pictures and invoices, better pictures for old ones, a shelf with another name, and some that go. */
export async function uploadsDay(root: string): Promise<UploadsDay> {
  const added = 12;
  for (let at = 1; at <= added; at += 1)
    await put(join(root, pictureOf('office', picturesOnShelf + at)), picture(9000 + at, 56, 42));
  await writeInvoices(root, 9, invoicesInMonth);
  const changed = 5;
  for (let at = 1; at <= changed; at += 1)
    await put(join(root, pictureOf('home', at)), picture(9100 + at, 56, 42));
  const removed = 3;
  for (let at = 1; at <= removed; at += 1) await rm(join(root, pictureOf('audio', at)));
  await rename(join(root, 'products/camping'), join(root, 'products/camping and hiking'));
  await settle(root, today);
  return { added: added + invoicesInMonth, changed, moved: picturesOnShelf, removed };
}

const tampered = pictureOf('kitchen', 7);
const tamperedAt = 1234;

/** What one would type to do what `tamperUploads` does. */
export async function tamperCommands(root: string): Promise<string[]> {
  const { mtime } = await stat(join(root, tampered));
  return [
    `printf '?' | dd of=uploads/${tampered} bs=1 seek=${tamperedAt} conv=notrunc`,
    `touch -d ${mtime.toISOString()} uploads/${tampered}`,
  ];
}

/** Another byte in one picture, and its time of modification as it was: only its content tells. */
export async function tamperUploads(root: string): Promise<void> {
  const file = join(root, tampered);
  const { atime, mtime } = await stat(file);
  await using handle = await open(file, 'r+');
  await handle.write('?', tamperedAt);
  await handle.utimes(atime, mtime);
}

function pictureOf(shelf: string, at: number): string {
  return `products/${shelf}/${String(at).padStart(3, '0')}.png`;
}

async function put(file: string, content: Uint8Array, mode = 0o644): Promise<void> {
  await writeFile(file, content);
  // Whatever the umask is.
  await chmod(file, mode);
}

async function writeInvoices(root: string, month: number, after: number): Promise<void> {
  const name = `2026-${String(month).padStart(2, '0')}`;
  const directory = join(root, 'invoices', name);
  await mkdir(directory, { recursive: true });
  await chmod(directory, 0o700);
  for (let at = after; at < after + invoicesInMonth; at += 1) {
    const number = firstInvoice + month * 1000 + at;
    await put(join(directory, `${number}.txt`), invoice(number, `${name}-${10 + at}`), 0o600);
  }
}

/** Two written places in eight megabytes of nothing. */
async function writeSparse(file: string): Promise<void> {
  await using handle = await open(file, 'w');
  await handle.truncate(8 * 2 ** 20);
  await handle.write(noise(1, 65_536), 0, 65_536, 2 ** 20);
  await handle.write(noise(2, 65_536), 0, 65_536, 6 * 2 ** 20);
  await handle.chmod(0o644);
}

/**
 * Gives whatever was just written times of modification from `from` on, in halves of seconds: these stay exact where a
 * restore can set times only as floating-point numbers. What has such a time already keeps it.
 */
async function settle(root: string, from: number): Promise<void> {
  const below = await readdir(root, { recursive: true });
  let next = from;
  for (const path of ['.', ...below.toSorted()].map((name) => join(root, name))) {
    const { mtimeNs } = await lstat(path, { bigint: true });
    next += 3.5;
    if (mtimeNs % 500_000_000n !== 0n) await lutimes(path, next, next);
  }
}
