import assert from 'node:assert/strict';
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { systemClock } from '../../src/kernel/clock.ts';
import { openFsStorage } from '../../src/storage/fs/open.ts';
import { patternedBytes } from '../../testing/bytes.ts';
import { makeWalArchive, mib, putWal, walBytes } from '../../testing/wal-archive.ts';
import { runInProcess } from '../cli/in-process.ts';
import { sandbox, type Sandbox } from '../cli/program-runner.ts';
import { bareMachine, filesBelow, goldenCopy, overwrite, type BareMachine, type KitRan } from './kit.ts';

const big = patternedBytes(600_000, 7);
const text = Buffer.from(Array.from({ length: 4000 }, (_, row) => `line ${row} of a text\n`).join(''));
const first: Readonly<Record<string, Buffer>> = {
  'a/big': big,
  'a/text': text,
  'b/small': Buffer.from('small'),
};
const later = { 'c/later': patternedBytes(50_000, 8) };

/** A repository of files as the program makes it, damaged in ever other ways; always read by the file alone. */
describe('a damaged repository', () => {
  let box: Sandbox;
  let machine: BareMachine;
  let whole: string;
  let key: string;
  let ids: string[];
  let copies = 0;

  const program = async (...args: string[]): Promise<string> => {
    const ran = await runInProcess(box, [...args, '--repo', whole]);
    assert.equal(ran.code, 0, ran.stderr);
    return ran.stdout;
  };

  before(async () => {
    box = await sandbox();
    machine = await bareMachine();
    whole = box.at('r');
    await program('init');
    key = filesBelow(join(box.home, '.config')).find((file) => file.endsWith('.key')) ?? '';
    for (const contents of [first, later]) {
      for (const [path, bytes] of Object.entries(contents)) {
        mkdirSync(box.at('tree', path.split('/')[0] ?? ''), { recursive: true });
        writeFileSync(box.at('tree', path), bytes);
      }
      await program('backup', '--from', `files:${box.at('tree')}`);
    }
    ids = readdirSync(join(whole, 'snapshots')).map((name) => name.slice(-32));
  });
  after(async () => {
    await machine[Symbol.asyncDispose]();
    await box[Symbol.asyncDispose]();
  });

  const copy = (): string => {
    copies += 1;
    const repository = machine.at(`r-${copies}`);
    cpSync(whole, repository, { recursive: true });
    return repository;
  };
  const kit = async (command: string, repository: string, ...args: string[]): Promise<KitRan> =>
    await machine.run([command, repository, ...args, '--passphrase-file', key]);

  /** Restores and compares; gives what was said, and what is there and was not in the backup. */
  const restore = async (
    repository: string,
    contents: Readonly<Record<string, Buffer>>,
    expected: { readonly code: number; readonly without?: readonly string[]; readonly id?: string },
  ): Promise<{ readonly stderr: string; readonly other: readonly string[] }> => {
    const to = `${repository}-out`;
    const ran = await kit('restore', repository, expected.id ?? ids[0] ?? '', '--to', to);
    assert.equal(ran.code, expected.code, ran.stderr);
    const there = readdirSync(to, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name).slice(to.length + 1));
    const wanted = Object.keys(contents).filter((path) => expected.without?.includes(path) !== true);
    for (const path of wanted) assert.deepEqual(readFileSync(join(to, path)), contents[path], path);
    return { stderr: ran.stderr, other: there.filter((path) => !wanted.includes(path)) };
  };

  const flip = (file: string, ...positions: number[]): void => {
    const bytes = readFileSync(file);
    for (const at of positions) {
      const index = at < 0 ? bytes.length + at : at;
      bytes[index] = (bytes[index] ?? 0) ^ 4;
    }
    overwrite(file, bytes);
  };
  /** The pack with the first backup's data, and where things are in it, as docs/format.md has it. */
  const packOf = (
    repository: string,
  ): { file: string; records: number[]; largest: number; footer: number } => {
    const [file = ''] = filesBelow(join(repository, 'packs'));
    const bytes = readFileSync(file);
    const footer = bytes.readUInt32LE(bytes.length - 80);
    const records: number[] = [];
    for (let at = 64; at < footer; at += 44 + bytes.readUInt32LE(at + 8)) records.push(at);
    const largest = records.toSorted((a, b) => bytes.readUInt32LE(b + 8) - bytes.readUInt32LE(a + 8))[0] ?? 0;
    return { file, records, largest, footer };
  };
  const dropIndexes = (repository: string): void => rmSync(join(repository, 'index'), { recursive: true });
  it('loses nothing by what is there twice', async () => {
    const damages: readonly (readonly [string, RegExp | null, (repository: string) => void])[] = [
      ['header', null, (r) => flip(packOf(r).file, 30)],
      ['trailer', null, (r) => flip(packOf(r).file, -70)],
      ['both headers', null, (r) => flip(packOf(r).file, 30, -10)],
      ['record', null, (r) => flip(packOf(r).file, packOf(r).largest + 9)],
      ['footer', null, (r) => flip(packOf(r).file, packOf(r).footer + 20)],
      ['record and footer', null, (r) => flip(packOf(r).file, packOf(r).largest + 20, packOf(r).footer + 20)],
      [
        'index',
        /index\/[0-9a-f]{64} cannot be used/,
        (r) => flip(filesBelow(join(r, 'index'))[0] ?? '', 100),
      ],
      ['no index', null, dropIndexes],
      ['no index, header', null, (r) => (flip(packOf(r).file, 30), dropIndexes(r))],
      ['no index, record', null, (r) => (flip(packOf(r).file, packOf(r).largest + 9), dropIndexes(r))],
      ['no index, trailer', /footer of packs/, (r) => (flip(packOf(r).file, -70), dropIndexes(r))],
      [
        'no index, footer',
        /footer of packs/,
        (r) => (flip(packOf(r).file, packOf(r).footer + 20), dropIndexes(r)),
      ],
      ['holdfast.json', /holdfast.json cannot be used/, (r) => flip(join(r, 'holdfast.json'), 60)],
      ['no holdfast.json', /holdfast.json cannot be used/, (r) => rmSync(join(r, 'holdfast.json'))],
    ];
    for (const [name, words, damage] of damages) {
      const repository = copy();
      damage(repository);
      const { stderr, other } = await restore(repository, first, { code: 0 });
      assert.deepEqual(other, [], `${name}: ${stderr}`);
      if (words !== null) assert.match(stderr, words, name);
    }
  });

  it('loses the one file whose chunk is damaged, says so, and keeps what is left of it apart', async () => {
    const repository = copy();
    const { file, largest } = packOf(repository);
    flip(file, largest + 60);
    const { stderr, other } = await restore(repository, first, { code: 3, without: ['a/big'] });
    assert.deepEqual(other.toSorted(), ['a/big.damaged', 'holdfast-damage.txt']);
    assert.match(
      stderr,
      /^DAMAGED: a\/big: \d+ bytes from \d+ on are lost: chunk [0-9a-f]{16}… \(packs\/.* at \d+: /m,
    );
    const rest = readFileSync(`${repository}-out/a/big.damaged`);
    assert.equal(rest.length, big.length);
    const [, count = '', from = ''] = /a\/big: (\d+) bytes from (\d+) on/.exec(stderr) ?? [];
    const expected = Buffer.from(big).fill(0, Number(from), Number(from) + Number(count));
    assert.deepEqual(rest, expected);
    const checked = await kit('check', repository);
    assert.equal(checked.code, 3);
    assert.equal(checked.stdout.match(/: DAMAGED$/gm)?.length, 2, 'both backups have that file');
    assert.equal(checked.stderr.match(/^DAMAGED: .*a\/big: chunk/gm)?.length, 2);
  });

  it('loses one chunk when its record cannot even be found', async () => {
    const repository = copy();
    const { file, largest, footer } = packOf(repository);
    flip(file, largest + 9, footer + 20);
    dropIndexes(repository);
    const { other } = await restore(repository, first, { code: 3, without: ['a/big'] });
    assert.ok(other.includes('a/big.damaged'));
  });

  it('names a pack that is missing or cut short, and restores what is elsewhere', async () => {
    for (const damage of [rmSync, (file: string) => overwrite(file, readFileSync(file).subarray(0, 200))]) {
      const repository = copy();
      const [, file = ''] = filesBelow(join(repository, 'packs'));
      damage(file);
      const ran = await kit('restore', repository, 'latest', '--to', `${repository}-out`);
      assert.notEqual(ran.code, 0);
      assert.match(ran.stderr, new RegExp(`packs/../${file.slice(-64)}`));
      // The first backup does not need it, or needs it for everything.
      const other = filesBelow(join(repository, 'packs')).length;
      assert.ok(other >= 1);
    }
  });

  it('takes an older backup when the manifest of the latest is damaged, and says so', async () => {
    const repository = copy();
    flip(join(repository, 'snapshots', readdirSync(join(repository, 'snapshots')).at(-1) ?? ''), 90);
    const listed = await kit('list', repository);
    assert.equal(listed.code, 3);
    assert.match(listed.stderr, /DAMAGED: the manifest snapshots\/0000000002-/);
    assert.match(listed.stdout, new RegExp((ids[0] ?? '').slice(0, 12)));
    const { stderr } = await restore(repository, first, { code: 3, id: 'latest' });
    assert.match(stderr, /An older backup is taken in its place/);
    const ran = await kit('restore', repository, ids[1] ?? '', '--to', `${repository}-none`);
    assert.equal(ran.code, 1);
    // Swapped, each says that it is not the one of that name.
    const swapped = copy();
    const [one = '', two = ''] = readdirSync(join(swapped, 'snapshots')).map((name) =>
      join(swapped, 'snapshots', name),
    );
    const bytes = readFileSync(one);
    overwrite(one, readFileSync(two));
    overwrite(two, bytes);
    assert.equal((await kit('list', swapped)).stderr.match(/^DAMAGED/gm)?.length, 2);
  });

  it('opens by any key that is whole', async () => {
    writeFileSync(box.at('other'), 'another passphrase\n');
    await program('key', 'add', '--new-passphrase-file', box.at('other'));
    const repository = copy();
    const other = ['list', repository, '--passphrase-file', box.at('other')];
    assert.equal((await machine.run(other)).code, 0);
    for (const file of filesBelow(join(repository, 'keys')))
      if (!readFileSync(file, 'utf8').includes('"memory_kib": 64,')) flip(file, 200);
    assert.equal((await kit('list', repository)).code, 0);
    const ran = await machine.run(other);
    assert.equal(ran.code, 1);
    assert.match(ran.stderr, /cannot be used|does not match its check value/);
  });

  it('refuses a repository that asks for what it does not know', async () => {
    const repository = copy();
    const file = join(repository, 'holdfast.json');
    overwrite(file, readFileSync(file, 'utf8').replace('"format": 1', '"format": 2'));
    const ran = await kit('list', repository);
    assert.equal(ran.code, 1);
    assert.match(ran.stderr, /has format 2: a newer holdfast-restore\.mjs is needed/);
  });

  it('loses the entries of the damaged chunk of a long list, and restores the others', async () => {
    mkdirSync(box.at('many'));
    const nameOf = (index: number): string => `file-${index}-${'x'.repeat(150)}`;
    for (let index = 0; index < 700; index += 1) writeFileSync(box.at('many', nameOf(index)), nameOf(index));
    await program('backup', '--from', `files:${box.at('many')}`);
    const repository = copy();
    const packs = filesBelow(join(repository, 'packs'));
    // Blob type 3: a list of entries. The largest one is of this backup.
    const lists = packs.flatMap((file) => {
      const bytes = readFileSync(file);
      const found: { file: string; at: number; length: number }[] = [];
      for (let at = 64; at < bytes.readUInt32LE(bytes.length - 80); at += 44 + bytes.readUInt32LE(at + 8))
        if (bytes[at + 1] === 3) found.push({ file, at, length: bytes.readUInt32LE(at + 4) });
      return found;
    });
    const [list] = lists.toSorted((a, b) => b.length - a.length);
    assert.ok(list !== undefined && lists.length > 3);
    flip(list.file, list.at + 70);
    const ran = await kit('restore', repository, 'latest', '--to', `${repository}-out`);
    assert.equal(ran.code, 3, ran.stderr);
    const [, lost = ''] = /DAMAGED: (\d+) of the \d+ entries of the backup are lost/.exec(ran.stderr) ?? [];
    const there = readdirSync(`${repository}-out`).filter((name) => name.startsWith('file-'));
    assert.ok(there.length > 100 && there.length + Number(lost) >= 700, `${there.length} + ${lost}`);
    for (const name of there) assert.equal(readFileSync(join(`${repository}-out`, name), 'utf8'), name);
  });
});

it('damaged WAL stops a recovery', async () => {
  await using machine = await bareMachine();
  const repository = goldenCopy(machine, 'format-1-wal-plain');
  const unit = filesBelow(join(repository, 'wal')).find((file) => file.endsWith('/00200000')) ?? '';
  const bytes = readFileSync(unit);
  bytes[bytes.length - 200] = (bytes[bytes.length - 200] ?? 0) ^ 1;
  overwrite(unit, bytes);
  const ran = await machine.run(['wal', repository, 'golden', '000000010000000100000001', 'got']);
  assert.equal(ran.code, 126);
  assert.match(ran.stderr, /00200000: its bytes are not what was stored/);
  assert.deepEqual(readdirSync(machine.path).toSorted(), ['holdfast-restore.mjs', 'repository']);
  const checked = await machine.run(['check', repository]);
  assert.equal(checked.code, 3);
  assert.match(checked.stdout, /^WAL of golden .*: DAMAGED$/m);
});

it('where a whole unit of WAL is damaged, the parts that were there before it will do', async () => {
  await using machine = await bareMachine();
  const repository = machine.at('r');
  const storage = await openFsStorage(repository, { create: true, clock: systemClock });
  const { archive } = await makeWalArchive({ storage });
  const start = 0x1_0030_0000;
  await putWal(archive, start, walBytes(start, 300_000));
  await putWal(archive, start + 200_000, walBytes(start + 200_000, mib - 200_000));
  await putWal(archive, start, walBytes(start, mib));
  await storage.close();
  const get = async (): Promise<KitRan> =>
    await machine.run(['wal', repository, 'main', '000000010000000100000003', 'got']);
  const folder = join(repository, 'wal', archive.id, '00000001', '00000001');
  assert.equal(readdirSync(folder).length, 3);
  overwrite(join(folder, '00300000'), 'something else');
  const whole = await get();
  assert.equal(whole.code, 0, whole.stderr);
  assert.deepEqual(readFileSync(machine.at('got')), Buffer.from(walBytes(start, mib)));
  const [part = ''] = readdirSync(folder).filter((name) => name.includes('.p'));
  overwrite(join(folder, part), readFileSync(join(folder, part)).subarray(0, -1));
  const cut = await get();
  assert.equal(cut.code, 126);
  assert.match(cut.stderr, /WAL of timeline 1 from 1\/300000 on: .*it ends too early/);
});
