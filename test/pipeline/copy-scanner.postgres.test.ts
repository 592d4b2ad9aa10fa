import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { CopyScanner } from '../../src/pipeline/copy-scanner.ts';
import { startPostgres, withoutPostgres } from '../../testing/postgres-server.ts';

const run = promisify(execFile);

// The awkward values: backslashes, the end mark as a value, newlines, empty strings, NULL, what is not ASCII.
const table = `
  CREATE TABLE t (a text, b text);
  INSERT INTO t VALUES ('FIRST-ROW', ''), ('\\.', NULL), (E'two\\nlines', E'tab\\t'), ('\\N', E'\\r\\n'), ('grüße', '✓');
  INSERT INTO t SELECT repeat(md5(i::text), i % 60), i FROM generate_series(1, 20000) i;
  INSERT INTO t SELECT repeat('x', 1000000), 'long';`;

test(
  'the content pg_dump archives has the result of what COPY sends',
  { skip: withoutPostgres('system') },
  async () => {
    await using server = await startPostgres({ major: 'system' });
    await server.psql(table);
    const options = {
      encoding: 'buffer',
      maxBuffer: 2 ** 27,
      env: {
        PGPASSWORD: server.password,
        PGHOST: '127.0.0.1',
        PGPORT: String(server.port),
        PGUSER: server.superuser,
      },
    } as const;
    const dump = await run(
      join(server.binDirectory, 'pg_dump'),
      ['-Fc', '-Z0', '-t', 't', 'postgres'],
      options,
    );
    const copy = await run(
      join(server.binDirectory, 'psql'),
      ['-XAtc', 'COPY t TO STDOUT', 'postgres'],
      options,
    );

    const plain = new CopyScanner({ intSize: 4 });
    plain.pushPlain(copy.stdout);
    const expected = plain.result();
    assert.deepEqual([expected.rows, expected.bytes], [20_006, copy.stdout.length]);

    // The first piece begins with the first row, 5 bytes after the block's header.
    const block = dump.stdout.subarray(dump.stdout.indexOf('FIRST-ROW\t') - 5);
    const framed = new CopyScanner({ intSize: dump.stdout[8] ?? 0 });
    const contents: Buffer[] = [];
    let taken = 0;
    for (let ended = false; !ended;) {
      const part = framed.pushFramed(block.subarray(taken, taken + 100_003));
      contents.push(Buffer.from(part.content));
      taken += part.consumed;
      ended = part.ended;
    }
    assert.equal(Buffer.concat(contents).toString(), `${copy.stdout.toString()}\\.\n\n\n`);
    assert.deepEqual(framed.result(), expected);
  },
);
