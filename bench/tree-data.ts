import { randomFillSync } from 'node:crypto';
import { appendFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { vocabulary } from './words.ts';

/** What a bench of files or SQLite works on. */
export interface TreeData {
  readonly title: string;
  /** Makes it in an empty directory; gives a description. */
  readonly create: (directory: string) => string;
  /** Changes a little of it, differently each round. */
  readonly change: (directory: string, round: number) => string;
}

const smallBytes = 10_000;

/** Many small files, as an uploads folder or a checkout has them: half text, half that does not compress. */
export function smallFiles(gigabytes: number): TreeData {
  const count = Math.max(100, Math.round((gigabytes * 1e9) / smallBytes));
  return {
    title: 'Many small files',
    create: (directory) => {
      for (let index = 0; index < count; index += 1) {
        const folder = join(directory, `d${Math.floor(index / 500)}`);
        if (index % 500 === 0) mkdirSync(folder);
        // From nearly nothing to four times the mean, the small ones more often.
        const size = Math.round(smallBytes * 2 * ((index * 7919) % 1000) * 0.001) + 20;
        writeFileSync(join(folder, `f${index}`), index % 2 === 0 ? text(index, size) : noise(size));
      }
      return `${count} files of ${smallBytes / 1000} kB on average`;
    },
    change: (directory, round) => {
      const changed = Math.ceil(count / 100);
      for (let index = 0; index < changed; index += 1) {
        const file = (index * 100 + round) % count;
        appendFileSync(join(directory, `d${Math.floor(file / 500)}`, `f${file}`), `changed ${round}\n`);
      }
      return `a line appended to ${changed} files`;
    },
  };
}

/** A few big files: half text, half that does not compress. */
export function largeFiles(gigabytes: number): TreeData {
  const files = 8;
  const pieceBytes = 4_000_000;
  const pieces = Math.max(1, Math.round((gigabytes * 1e9) / files / pieceBytes));
  return {
    title: 'A few big files',
    create: (directory) => {
      for (let file = 0; file < files; file += 1) {
        for (let piece = 0; piece < pieces; piece += 1) {
          const bytes = file % 2 === 0 ? text(file * 10_000 + piece, pieceBytes) : noise(pieceBytes);
          appendFileSync(join(directory, `big${file}`), bytes);
        }
      }
      return `${files} files of ${Math.round((pieces * pieceBytes) / 1e6)} MB`;
    },
    change: (directory, round) => {
      appendFileSync(join(directory, 'big0'), text(round, 1_000_000));
      return '1 MB appended to one file';
    },
  };
}

const rowBytes = 200;

/** One SQLite database with an index, in WAL mode, not written to meanwhile. */
export function sqliteDatabase(gigabytes: number, updates: number): TreeData {
  const rows = Math.round((gigabytes * 1e9) / (rowBytes * 1.25));
  const open = (directory: string): DatabaseSync => new DatabaseSync(join(directory, 'app.db'));
  return {
    title: 'A SQLite database',
    create: (directory) => {
      const database = open(directory);
      database.exec(
        'PRAGMA journal_mode = WAL; CREATE TABLE message (id INTEGER PRIMARY KEY, sender INTEGER, body TEXT); BEGIN',
      );
      const insert = database.prepare('INSERT INTO message VALUES (?, ?, ?)');
      for (let row = 1; row <= rows; row += 1)
        insert.run(row, (row * 7919) % 100_003, text(row, rowBytes).toString());
      database.exec(
        'COMMIT; CREATE INDEX message_sender ON message (sender); PRAGMA wal_checkpoint(TRUNCATE)',
      );
      database.close();
      return `${rows} rows, an index`;
    },
    change: (directory, round) => {
      const database = open(directory);
      const update = database.prepare('UPDATE message SET body = ? WHERE id = ?');
      database.exec('BEGIN');
      for (let index = 0; index < updates; index += 1)
        update.run(`changed in round ${round}`, 1 + ((index * 48_271 + round * 31) % rows));
      database.exec('COMMIT; PRAGMA wal_checkpoint(TRUNCATE)');
      database.close();
      return `${updates} scattered rows updated`;
    },
  };
}

/** Words that compress about threefold, another text for each seed. */
function text(seed: number, sizeBytes: number): Buffer {
  let state = (seed * 2_654_435_761 + 12_345) >>> 0;
  const words: string[] = [];
  for (let length = 0; length < sizeBytes;) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    const word = vocabulary[(state >>> 24) & (state >>> 16) & 0xff] ?? '';
    words.push(state % 11 === 0 ? String(state) : word);
    length += (words.at(-1)?.length ?? 0) + 1;
  }
  return Buffer.from(words.join(' ').slice(0, sizeBytes).padEnd(sizeBytes));
}

function noise(sizeBytes: number): Buffer {
  return randomFillSync(Buffer.allocUnsafe(sizeBytes));
}
