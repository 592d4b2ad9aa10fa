import { DatabaseSync } from 'node:sqlite';
import { setImmediate } from 'node:timers/promises';

// Moves amounts between accounts, so that their sum stays 0, and writes a note with each move, until its input ends.
// Says `ready` after the first commit, and at the end how many it made.
const file = process.argv[2] ?? '';
const database = new DatabaseSync(file, { timeout: 30_000 });
let isOver = false;
process.stdin.on('end', () => (isOver = true)).resume();
const give = database.prepare('UPDATE accounts SET amount = amount - ? WHERE id = ?');
const take = database.prepare('UPDATE accounts SET amount = amount + ? WHERE id = ?');
const note = database.prepare('INSERT INTO notes (text, extra) VALUES (?, randomblob(300))');
let commits = 0;
while (!isOver) {
  database.exec('BEGIN IMMEDIATE');
  const amount = 1 + (commits % 50);
  give.run(amount, 1 + ((commits * 7) % 100));
  note.run(`moved ${amount}`);
  take.run(amount, 1 + ((commits * 13 + 5) % 100));
  database.exec('COMMIT');
  commits += 1;
  if (commits === 1) process.stdout.write('ready\n');
  await setImmediate();
}
database.close();
process.stdout.write(`${commits}\n`);
