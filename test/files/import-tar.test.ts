import assert from 'node:assert/strict';
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { importTarFile } from '../../src/sources/files/tar/import.ts';
import { MemoryBackup } from '../../testing/memory-backup.ts';
import { tempDirectory } from '../../testing/temp.ts';
import { refused } from './restore-support.ts';

interface Member {
  readonly name: string;
  readonly type?: string;
  readonly link?: string;
  readonly content?: string;
  readonly records?: Readonly<Record<string, string>>;
}

function header(name: string, type: string, size: number, link = ''): Buffer {
  const block = Buffer.alloc(512);
  const octal = (value: number, at: number, length: number): void =>
    void block.write(value.toString(8).padStart(length - 1, '0'), at, 'latin1');
  block.write(name.slice(0, 100), 0, 'latin1');
  octal(0o644, 100, 8);
  octal(7, 108, 8);
  octal(8, 116, 8);
  octal(size, 124, 12);
  octal(1_700_000_000, 136, 12);
  block.write(`        ${type}${link}`, 148, 'latin1');
  block.write('ustar\u000000', 257, 'latin1');
  octal(
    block.reduce((sum, byte) => sum + byte, 0),
    148,
    7,
  );
  return block;
}

function padded(text: string): Buffer {
  return Buffer.concat([Buffer.from(text), Buffer.alloc((512 - (text.length % 512)) % 512)]);
}

function record(key: string, value: string): string {
  const rest = ` ${key}=${value}\n`;
  let length = rest.length;
  while (length !== rest.length + String(length).length) length = rest.length + String(length).length;
  return `${length}${rest}`;
}

function archive(members: readonly Member[]): Buffer {
  const blocks = members.flatMap(({ name, type = '0', link = '', content = '', records = {} }) => {
    const pax = Object.entries(records)
      .map(([key, value]) => record(key, value))
      .join('');
    const before = pax === '' ? [] : [header('records', 'x', pax.length), padded(pax)];
    return [...before, header(name, type, content.length, link), padded(content)];
  });
  return Buffer.concat([...blocks, Buffer.alloc(1024)]);
}

async function importing(members: readonly Member[]): Promise<MemoryBackup> {
  await using work = await tempDirectory();
  const path = join(work.path, 'a.tar');
  writeFileSync(path, archive(members));
  const memory = new MemoryBackup();
  try {
    const options = {
      temporaryDirectory: work.path,
      path,
      gzip: false,
      shown: 'a.tar',
      now: () => Date.now(),
    };
    await importTarFile(options, memory.backupContext());
  } finally {
    assert.deepEqual(readdirSync(work.path), ['a.tar']);
  }
  return memory;
}

const refusals: readonly (readonly [what: string, member: Member, words: RegExp])[] = [
  [
    'a time far ahead',
    { name: 'a', records: { mtime: '99999999999999999999' } },
    /time of modification.*\(a\)/,
  ],
  ['a time long ago', { name: 'a', records: { mtime: '-99999999999999999999.5' } }, /time of modification/],
  [
    'a user beyond 32 bits',
    { name: 'a', records: { uid: String(2 ** 40) } },
    /owner or group.*1099511627776:8/,
  ],
  ['a group beyond 32 bits', { name: 'a', records: { gid: '4294967295' } }, /owner or group.*7:4294967295/],
  ['a negative user', { name: 'a', type: '5', records: { uid: '-5' } }, /owner or group.*-5:8/],
  ['a long name', { name: 'a', records: { path: `d/${'n'.repeat(256)}` } }, /a name that is longer/],
  [
    'a long path',
    { name: 'a', records: { path: 'd'.repeat(200).concat('/').repeat(30) } },
    /a name that is longer/,
  ],
  [
    'a link to a long path',
    { name: 'a', type: '2', records: { linkpath: 'x/'.repeat(3000) } },
    /link to a path that/,
  ],
  [
    'a hard link to itself',
    { name: 'h', type: '1', link: 'h' },
    /a hard link to h, which does not come before/,
  ],
  ['a hard link to a directory', { name: 'h', type: '1', link: 'd/' }, /a hard link to the directory d/],
];

for (const [what, member, words] of refusals) {
  test(`an archive with ${what} is refused`, async () => {
    const before = [{ name: 'first' }, { name: 'd', type: '5' }];
    await assert.rejects(importing([...before, member]), refused('import_unsupported', words));
  });
}

/** A file with holes as GNU tar writes it: the list of its parts, then what is in them. */
function withHoles(
  size: number,
  parts: readonly (readonly [at: number, length: number])[],
  data: string,
): Member {
  const numbers = [parts.length, ...parts.flat()];
  const list = numbers.map((number) => `${number}\n`).join('');
  const records = { 'GNU.sparse.major': '1', 'GNU.sparse.minor': '0', 'GNU.sparse.realsize': String(size) };
  return { name: 'holes', content: `${padded(list).toString('latin1')}${data}`, records };
}

test('a file with holes is imported; with more or less content than its list takes it is damaged', async () => {
  const parts = [
    [2, 3],
    [9, 0],
  ] as const;
  const memory = await importing([withHoles(9, parts, 'abc')]);
  assert.equal(memory.content('holes').toString('latin1'), '\0\0abc\0\0\0\0');
  for (const [list, data] of [
    [parts, 'abcd'],
    [parts, `abc${'d'.repeat(600)}`],
    [parts, 'ab'],
    [[], 'a'],
  ] as const)
    await assert.rejects(
      importing([withHoles(9, list, data)]),
      refused('import_damaged', /the holes of a file contradict its size/),
    );
});

test('holes that would take days are refused, also when many files have them', async () => {
  const words = /holes of more than 64 TiB, up to the file holes/;
  await assert.rejects(importing([withHoles(9e15, [], '')]), refused('import_unsupported', words));
  await assert.rejects(
    importing([withHoles(2 ** 26, [], ''), withHoles(64 * 2 ** 40 - 2 ** 25, [], '')]),
    refused('import_unsupported', words),
  );
});

test('what is just within the limits is imported', async () => {
  const name = 'n'.repeat(255);
  const memory = await importing([
    { name: 'a', content: 'content', records: { uid: '4294967294', path: name, mtime: '253402300800.5' } },
    // What GNU tar makes of a file that is named twice.
    { name: 'a', type: '1', records: { path: name, linkpath: name } },
  ]);
  const { meta } = memory.entry(name);
  assert.deepEqual([meta['uid'], meta['mtime']], [4_294_967_294, '253402300800500000000']);
  assert.equal(memory.content(name).toString(), 'content');
});
