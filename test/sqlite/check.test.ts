import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { byteSize } from '../../src/kernel/byte-size.ts';
import { checkSqlite } from '../../src/sources/sqlite/backup/check.ts';
import { place } from './place.ts';
import { addNotes, backupOptions, makeDatabase } from './support.ts';

test('what lies in the log of a database is told beside what lies in its file', async () => {
  await using where = await place();
  const file = join(where.data, 'a.db');
  const open = makeDatabase(file, { journal: 'wal' });
  open.exec('PRAGMA wal_autocheckpoint = 0');
  addNotes(open, 1000, 20_000);
  const [main, log] = [statSync(file).size, statSync(`${file}-wal`).size];
  assert.ok(log > 100_000);
  const options = backupOptions(where.temporary, [file]);
  const findings = await checkSqlite(options, new AbortController().signal);
  open.close();
  assert.deepEqual(
    findings.map(({ check, level }) => [check, level]),
    [
      ['databases', 'ok'],
      ['temporary directory', 'ok'],
    ],
  );
  assert.equal(findings[0]?.message, `1 database, ${byteSize(main)} and ${byteSize(log)} in logs (-wal)`);
  assert.ok(findings[1]?.message.includes(` needs ${byteSize(main + log)} `), findings[1]?.message);
});
