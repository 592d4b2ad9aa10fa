import assert from 'node:assert/strict';
import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import fc from 'fast-check';
import { CopyScanner } from '../../src/pipeline/copy-scanner.ts';
import {
  BlobScanner,
  encodeBlockEnd,
  encodeBlockHeader,
  encodePieces,
} from '../../src/sources/postgres-logical/archive/blocks.ts';
import {
  encodeInt,
  encodeString,
  encodeToc,
  renumbered,
  sections,
} from '../../src/sources/postgres-logical/archive/toc.ts';
import { parseToc, TocReader } from '../../src/sources/postgres-logical/archive/toc-reader.ts';
import { dumpTaskModule } from '../../src/sources/postgres-logical/dump-task.ts';
import { MarkSplitter } from '../../src/sources/postgres-logical/mark-splitter.ts';
import { MemoryBackup } from '../../testing/memory-backup.ts';
import { everyObjectSql } from '../../testing/every-object.ts';
import { startPostgres, type PostgresServer } from '../../testing/postgres-server.ts';
import { tempDirectory, type TempDirectory } from '../../testing/temp.ts';
import { failing, takeBackup, type Taken } from './support.ts';

/** An archive of one table as pg_dump of the release with that archive version writes it. */
function archive(minor: number, options: { intSize?: number; rows?: string[]; end?: number } = {}): Buffer {
  const intSize = options.intSize ?? 4;
  const int = (value: number) => encodeInt(value, intSize);
  const string = (text: string | undefined) => encodeString(text, intSize);
  const entry = (
    id: number,
    data: number,
    description: string,
    section: number,
    definition: string,
    copy: string,
  ) => [
    int(id),
    int(data),
    string('1259'),
    string('16384'),
    string('t'),
    string(description),
    int(section),
    string(definition),
    string(''),
    string(copy),
    string('public'),
    string(undefined),
    ...(minor >= 14 ? [string('heap')] : []),
    ...(minor >= 16 ? [int(114)] : []),
    string('owner'),
    string('false'),
    string('7'),
    string(undefined),
    Buffer.from([data === 1 ? 1 : 3]),
    Buffer.alloc(8),
  ];
  return Buffer.concat([
    Buffer.from('PGDMP'),
    Buffer.from([1, minor, 0, intSize, 8, 1]),
    minor >= 15 ? Buffer.from([0]) : int(0),
    ...[1, 2, 3, 4, 5, 126, 0].map(int),
    string('database'),
    string('17.2'),
    string('17.2'),
    int(2),
    ...entry(8, 0, 'TABLE', sections.preData, 'CREATE TABLE public.t (a text);\n', ''),
    ...entry(9, 1, 'TABLE DATA', sections.data, '', 'COPY public.t (a) FROM stdin;\n'),
    encodeBlockHeader({ type: 1, dumpId: 9 }, intSize),
    ...(options.rows ?? ['one\n', 'two\n', '\\.\n\n\n']).flatMap((row) => [
      int(row.length),
      Buffer.from(row),
    ]),
    encodeBlockEnd(intSize),
  ]);
}

describe('a custom archive', () => {
  for (const minor of [12, 13, 14, 15, 16]) {
    it(`of version 1.${minor} is read, and written again byte for byte`, () => {
      const bytes = archive(minor);
      const reader = new TocReader();
      const toc = reader.push(bytes);
      assert.ok(toc);
      assert.deepEqual(
        toc.entries.map(({ dumpId, description, schema, tag, owner, hasData, dependencies }) => [
          dumpId,
          description,
          schema,
          tag,
          owner,
          hasData,
          dependencies,
        ]),
        [
          [8, 'TABLE', 'public', 't', 'owner', false, [7]],
          [9, 'TABLE DATA', 'public', 't', 'owner', true, [7]],
        ],
      );
      assert.equal(toc.header.dumpVersion, '17.2');
      assert.deepEqual(Buffer.concat([encodeToc(toc), reader.rest]), bytes);
      assert.deepEqual(parseToc(encodeToc(toc)), toc);
    });
  }

  for (const [what, bytes, reason] of [
    [
      'another version',
      Buffer.concat([Buffer.from('PGDMP'), Buffer.from([1, 17, 0, 4, 8, 1])]),
      /version 1\.17/,
    ],
    ['something else', Buffer.from('-- a plain dump, in fact'), /PGDMP/],
    ['another format', Buffer.concat([Buffer.from('PGDMP'), Buffer.from([1, 14, 0, 4, 8, 3])]), /format 3/],
  ] as const) {
    it(`that is ${what} is refused`, () => {
      assert.throws(
        () => new TocReader().push(bytes),
        failing('postgres_archive_unknown', ({ message }) => assert.match(message, reason)),
      );
    });
  }

  it('gives an entry another number and other dependencies, and nothing else', () => {
    const toc = parseToc(encodeToc(new TocReader().push(archive(16)) as never));
    const [first, second] = toc.entries;
    assert.ok(first && second);
    const changed = parseToc(encodeToc({ ...toc, entries: [first, renumbered(second, 70_000, [8, 12], 4)] }))
      .entries[1];
    assert.deepEqual(
      [changed?.dumpId, changed?.dependencies, changed?.copyStatement],
      [70_000, [8, 12], second.copyStatement],
    );
  });

  it('is cut into pieces that the scanner puts together again', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 5000 }), fc.integer({ min: 1, max: 700 }), (content, step) => {
        const framed = Buffer.concat([...encodePieces(content, 4), encodeBlockEnd(4)]);
        const scanner = new CopyScanner({ intSize: 4 });
        const parts: Buffer[] = [];
        let ended = false;
        for (let at = 0; at < framed.length;) {
          const part = scanner.pushFramed(framed.subarray(at, at + step));
          parts.push(Buffer.from(part.content));
          at += part.consumed;
          ({ ended } = part);
        }
        assert.ok(ended);
        assert.deepEqual(Buffer.concat(parts), Buffer.from(content));
      }),
    );
  });
});

describe('a block of large objects', () => {
  it('is walked through wherever its bytes are split', () => {
    const object = fc.tuple(fc.integer({ min: 1, max: 2 ** 32 - 1 }), fc.uint8Array({ maxLength: 300 }));
    fc.assert(
      fc.property(
        fc.array(object, { maxLength: 5 }),
        fc.integer({ min: 1, max: 90 }),
        fc.uint8Array({ maxLength: 9 }),
        (objects, step, rest) => {
          // pg_dump writes a number through a signed integer.
          const oid = (value: number) => encodeInt(value > 2 ** 31 ? value - 2 ** 32 : value, 4);
          const block = Buffer.concat([
            ...objects.flatMap(([number, content]) => [
              oid(number),
              ...encodePieces(content, 4),
              encodeInt(0, 4),
            ]),
            encodeInt(0, 4),
          ]);
          const found: [number, Buffer][] = [];
          let content: Uint8Array[] = [];
          let number = 0;
          const scanner = new BlobScanner(4, {
            begin: (value) => {
              number = value;
              content = [];
            },
            content: (bytes) => void content.push(bytes),
            end: () => void found.push([number, Buffer.concat(content)]),
          });
          const all = Buffer.concat([block, rest]);
          let taken = 0;
          while (!scanner.ended) taken += scanner.push(all.subarray(taken, taken + step));
          assert.equal(taken, block.length);
          assert.deepEqual(
            found,
            objects.map(([value, bytes]) => [value, Buffer.from(bytes)]),
          );
        },
      ),
    );
  });
});

describe('the marks between copied tables', () => {
  it('are found wherever the output is split, and only on lines of their own', () => {
    const row = fc.constantFrom('', 'a', '\\\\.', 'x\\\\.', '.', '\\N', 'long row of text', '\\\\', '\\.x');
    fc.assert(
      fc.property(
        fc.array(fc.array(row, { maxLength: 4 }), { maxLength: 5 }),
        fc.integer({ min: 1, max: 9 }),
        (tables, step) => {
          const output = Buffer.from(
            tables.map((rows) => `${rows.map((text) => `${text}\n`).join('')}\\.\n`).join(''),
          );
          const found: string[] = [];
          let current = '';
          const splitter = new MarkSplitter({
            data: (bytes) => {
              current += Buffer.from(bytes).toString();
            },
            mark: () => {
              found.push(current);
              current = '';
            },
          });
          for (let at = 0; at < output.length; at += step) splitter.push(output.subarray(at, at + step));
          assert.deepEqual(
            found,
            tables.map((rows) => rows.map((text) => `${text}\n`).join('')),
          );
          assert.equal(current, '');
        },
      ),
    );
  });
});

describe('the dump task', () => {
  let server: PostgresServer;
  let taken: Taken;
  let directory: TempDirectory;
  before(async () => {
    directory = await tempDirectory();
    server = await startPostgres({ settings: { wal_level: 'logical' } });
    await server.psql('CREATE DATABASE every');
    await server.psql(await everyObjectSql(), 'every');
    taken = await takeBackup(server.url('every'));
  });
  after(async () => {
    await server[Symbol.asyncDispose]();
    await directory[Symbol.asyncDispose]();
  });

  /** A stand-in for pg_dump: prints a file, then ends as told. */
  async function run(bytes: Uint8Array, ending = 'exit 0') {
    const data = join(directory.path, 'data');
    const tool = join(directory.path, 'pg_dump');
    await writeFile(data, bytes);
    await writeFile(tool, `#!/bin/sh\ncat '${data}'\n${ending}\n`);
    await chmod(tool, 0o755);
    const memory = new MemoryBackup();
    const setting = { server: 's:1', user: 'u', database: 'd', password: 'hush-hush' };
    return await memory
      .backupContext()
      .run(dumpTaskModule, { command: tool, args: [], env: { PATH: process.env['PATH'] ?? '' }, setting });
  }

  it('counts the rows of an archive of every known version', async () => {
    for (const minor of [12, 13, 14, 15, 16]) {
      const { blocks } = await run(archive(minor));
      assert.deepEqual(
        blocks.map(
          (block) =>
            block.kind === 'table' && [block.table, block.rows, block.bytes, block.stream.size_bytes],
        ),
        [['t', 2, 8, 13]],
      );
    }
  });

  it('refuses an archive that ends anywhere before its end', async () => {
    const whole = archive(14);
    for (const length of [
      0,
      4,
      11,
      60,
      200,
      whole.length - 40,
      whole.length - 30,
      whole.length - 5,
      whole.length - 1,
    ]) {
      await assert.rejects(
        run(whole.subarray(0, length)),
        failing('postgres_archive_truncated'),
        `cut at ${length} of ${whole.length}`,
      );
    }
  });

  it('refuses when pg_dump fails at the very end, though every byte arrived', async () => {
    await assert.rejects(
      run(archive(14), 'echo "pg_dump: error: something with hush-hush went wrong" >&2; exit 1'),
      failing('postgres_tool_failed', (error) => {
        assert.match(error.message, /pg_dump failed \(exit 1\): something with \*\*\* went wrong/);
        assert.doesNotMatch(JSON.stringify(error), /hush-hush/);
      }),
    );
    await assert.rejects(
      run(archive(14), 'kill -9 $$'),
      failing('postgres_tool_failed', ({ message }) => assert.match(message, /SIGKILL/)),
    );
  });

  it('refuses data that the table of contents does not know, and pieces of negative length', async () => {
    const whole = archive(14);
    await assert.rejects(
      run(Buffer.concat([whole, encodeBlockHeader({ type: 1, dumpId: 9 }, 4), encodeBlockEnd(4)])),
      failing('postgres_archive_unknown'),
    );
    await assert.rejects(run(Buffer.concat([whole, Buffer.from([7])])), failing('postgres_archive_unknown'));
    const negative = Buffer.from(whole);
    negative[whole.length - 5] = 1;
    negative[whole.length - 4] = 1;
    await assert.rejects(run(negative), failing('postgres_archive_unknown'));
  });

  it('stores the table of contents of a real archive so that it reads back the same', () => {
    const bytes = taken.memory.content('every/0/toc');
    const toc = parseToc(bytes);
    assert.deepEqual(encodeToc(toc), bytes);
    assert.equal(toc.encoding, 'UTF8');
    assert.ok(toc.entries.some(({ tag }) => tag === 'a.b "c" 100%/é\nline'));
  });

  it('gives every table a path of its own, whatever its name', () => {
    const paths = taken.memory.entries.map(({ path }) => path);
    assert.ok(
      paths.includes('every/tables/odd%20schema.a%2Eb%20%22c%22%20100%25%2Fé%0Aline'),
      paths.join('\n'),
    );
    assert.ok(
      paths.includes('every/tables/odd%20schema.Upper') && paths.includes('every/tables/odd%20schema.upper'),
    );
    assert.equal(new Set(paths).size, paths.length);
  });
});
