import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { ClaimedIds } from '../../src/repository/claimed-ids.ts';

test('each id is new once, however many there are', () => {
  using database = new DatabaseSync(':memory:');
  database.exec('CREATE TABLE claimed (id BLOB PRIMARY KEY) WITHOUT ROWID; BEGIN');
  const claimed = new ClaimedIds(
    database.prepare('INSERT OR IGNORE INTO claimed VALUES (?)'),
    database.prepare('SELECT 1 FROM claimed WHERE id = ?'),
  );
  const id = (number: number): Buffer => hash('sha256', String(number), 'buffer');
  const count = 300_000;
  for (let number = 0; number < count; number += 1) assert.equal(claimed.add(id(number)), true);
  for (let number = 0; number < count; number += 997) assert.equal(claimed.add(id(number)), false);
  assert.equal(claimed.add(id(count - 1)), false);
  const held = Number(database.prepare('SELECT count(*) AS n FROM claimed').get()?.['n']);
  assert.ok(held > 0 && count - held < 150_000, `${held} of ${count} are in the table`);
});
