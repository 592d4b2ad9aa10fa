import { DatabaseSync } from 'node:sqlite';
import { setTimeout as delay } from 'node:timers/promises';

// Opens a database, inserts a row, commits, closes, and does so again until its input ends, as scripts and handlers of
// requests do; or stays connected, as servers do. Says the number of each row once its commit has returned. What is
// refused is not said and not repeated.
const [, , file = '', journal = 'delete', how = 'leaves'] = process.argv;
let isOver = false;
let database: DatabaseSync | undefined;
process.stdin.on('end', () => (isOver = true)).resume();
for (let row = 1; !isOver; row += 1) {
  try {
    if (database?.isOpen !== true) {
      database = new DatabaseSync(file, { timeout: 100 });
      database.exec(`PRAGMA journal_mode = ${journal}`);
    }
    database.prepare('INSERT INTO acknowledged VALUES (?, ?)').run(row, 'x'.repeat(900));
    if (how === 'leaves') database.close();
    process.stdout.write(`${row}\n`);
  } catch (error) {
    if (how === 'leaves' && database?.isOpen === true) database.close();
    // A database that is replaced is locked for a while, and read-only for those who had opened the old one.
    if (!/locked|readonly/.test(String(error))) process.stdout.write(`${String(error)}\n`);
  }
  // The load: some moments without a connection, or no restore would ever find one.
  await delay(row % 7);
}
if (database?.isOpen === true) database.close();
