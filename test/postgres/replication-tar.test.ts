import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdir, symlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { checksumOf } from '../../src/pipeline/tar-header.ts';
import { readTar, type TarEntry } from '../../src/postgres/replication/tar.ts';
import { tempDirectory } from '../../testing/temp.ts';
import { failing } from './support.ts';

type Read = Omit<TarEntry, 'data'> & { readonly bytes: Buffer };

async function* pieces(all: Buffer, sizes: readonly number[]): AsyncGenerator<Uint8Array> {
  let at = 0;
  for (const size of sizes) {
    yield all.subarray(at, at + size);
    at += size;
  }
  yield all.subarray(at);
}

async function read(source: AsyncIterable<Uint8Array>): Promise<Read[]> {
  const entries: Read[] = [];
  for await (const { data, ...rest } of readTar(source, 'h:1')) {
    const found: Uint8Array[] = [];
    for await (const piece of data) found.push(piece);
    entries.push({ ...rest, bytes: Buffer.concat(found) });
  }
  return entries;
}

interface Made {
  readonly name: string;
  readonly type?: string;
  readonly size?: number;
  readonly link?: string;
}

/** A header as PostgreSQL writes it: sizes that octal digits do not hold in binary. */
function header({ name, type = '0', size = 0, link = '' }: Made): Buffer {
  const block = Buffer.alloc(512);
  block.write(name, 0);
  block.write('0000600 ', 100);
  if (size < 8 ** 11) block.write(`${size.toString(8).padStart(11, '0')} `, 124);
  else {
    block[124] = 0x80;
    block.writeBigUInt64BE(BigInt(size), 128);
  }
  block.write(`${(1_700_000_000).toString(8)} `, 136);
  block.write(type, 156);
  block.write(link, 157);
  block.write('ustar\u000000', 257);
  block.write(`${checksumOf(block).toString(8).padStart(6, '0')} `, 148);
  return block;
}

function file(name: string, content: Buffer): Buffer {
  const padding = Buffer.alloc((512 - (content.length % 512)) % 512);
  return Buffer.concat([header({ name, size: content.length }), content, padding]);
}

test('what tar has put together is read, however it is cut', async () => {
  await using directory = await tempDirectory();
  const root = join(directory.path, 'root');
  await mkdir(join(root, 'base', '1'), { recursive: true });
  const contents = new Map(
    [0, 1, 511, 512, 513, 70_000].map((size) => [`base/1/${size}`, randomBytes(size)]),
  );
  for (const [path, bytes] of contents) await writeFile(join(root, path), bytes, { mode: 0o640 });
  await symlink('/some where/else', join(root, 'pg_tblspc'));
  await utimes(join(root, 'base/1/512'), 1_600_000_000, 1_600_000_000);
  const options = ['-c', '--format=ustar', '-f', '-', '-C', root, '.'];
  const all = execFileSync('tar', options, { maxBuffer: 2 ** 24 });
  await fc.assert(
    fc.asyncProperty(fc.array(fc.integer({ min: 0, max: 3000 }), { maxLength: 40 }), async (cuts) => {
      const entries = await read(pieces(all, cuts));
      const files = entries.filter(({ type }) => type === 'file');
      assert.deepEqual(new Map(files.map(({ path, bytes }) => [path, bytes])).size, contents.size);
      for (const { path, bytes, size, mode } of files) {
        assert.ok(contents.get(path)?.equals(bytes) && size === bytes.length, path);
        assert.equal(mode & 0o640, 0o640);
      }
      const link = entries.find(({ type }) => type === 'symlink');
      assert.deepEqual([link?.path, link?.linkTarget], ['pg_tblspc', '/some where/else']);
      assert.ok(entries.some(({ type, path }) => type === 'directory' && path === 'base/1'));
      assert.equal(entries.find(({ path }) => path === 'base/1/512')?.mtimeSeconds, 1_600_000_000);
    }),
    { numRuns: 40 },
  );
});

test('an archive may lack the zeros at its end, as those of version 14 do', async () => {
  const all = Buffer.concat([file('one', Buffer.from('1')), header({ name: 'empty', type: '5' })]);
  assert.deepEqual(
    (await read(pieces(all, []))).map(({ path, type }) => [path, type]),
    [
      ['one', 'file'],
      ['empty', 'directory'],
    ],
  );
});

test('a file of more than 8 GiB passes in little time and memory', async () => {
  const size = 9 * 2 ** 30 + 1;
  const piece = Buffer.alloc(2 ** 20);
  async function* source(): AsyncGenerator<Uint8Array> {
    yield header({ name: 'base/1/16384', size });
    for (let left = size + 511; left > 0; left -= piece.length) yield piece.subarray(0, left);
    yield file('PG_VERSION', Buffer.from('15\n'));
  }
  const found: [string, number, number][] = [];
  for await (const { path, size, data } of readTar(source(), 'h:1')) {
    let bytes = 0;
    for await (const part of data) bytes += part.length;
    found.push([path, size, bytes]);
  }
  assert.deepEqual(found, [
    ['base/1/16384', size, size],
    ['PG_VERSION', 3, 3],
  ]);
});

test('what nobody reads of a file is passed over', async () => {
  const all = Buffer.concat([file('one', randomBytes(5000)), file('two', Buffer.from('2'))]);
  const names: string[] = [];
  for await (const { path, data } of readTar(pieces(all, [600, 600, 600]), 'h:1')) {
    names.push(path);
    for await (const _ of data) break;
  }
  assert.deepEqual(names, ['one', 'two']);
});

test('what breaks off or was never PostgreSQL is not believed', async () => {
  const all = file('base/1/16384', randomBytes(2000));
  const flipped = Buffer.from(all);
  flipped[3] = (flipped[3] ?? 0) ^ 1;
  const bad: readonly [Buffer, RegExp][] = [
    [all.subarray(0, 300), /within a header/],
    [all.subarray(0, 1500), /within base\/1\/16384/],
    [all.subarray(0, -1), /within base\/1\/16384/],
    [flipped, /checksum of a header/],
    [header({ name: 'device', type: '3' }), /device is something of type "3"/],
    [header({ name: 'base/1/2', type: '1', link: '/etc/passwd' }), /of type "1"/],
  ];
  for (const [bytes, reason] of bad)
    await assert.rejects(
      read(pieces(bytes, [])),
      failing('replication_protocol', ({ message }) => assert.match(message, reason)),
    );
});
