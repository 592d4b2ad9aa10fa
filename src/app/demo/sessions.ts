import { DatabaseSync, type SQLInputValue } from 'node:sqlite';
import { noise } from './generated-files.ts';

const schema = `
  CREATE TABLE sessions (
    token TEXT PRIMARY KEY,
    customer INTEGER,
    seen_at REAL NOT NULL,
    device INTEGER NOT NULL,
    secret BLOB NOT NULL
  );
  CREATE TABLE carts (
    token TEXT NOT NULL,
    product INTEGER NOT NULL,
    quantity INTEGER NOT NULL CHECK (quantity > 0),
    PRIMARY KEY (token, product)
  ) WITHOUT ROWID;
  CREATE TABLE searches (id INTEGER PRIMARY KEY AUTOINCREMENT, words TEXT NOT NULL, found INTEGER NOT NULL);
  CREATE INDEX sessions_seen ON sessions (seen_at);
  CREATE VIEW open_carts AS SELECT token, sum(quantity) AS pieces FROM carts GROUP BY token;
  PRAGMA user_version = 12;`;

const firstSessions = 9000;
const newSessions = 300;
const opened = Date.UTC(2026, 8, 19, 6) / 1000;
const words = ['warm', 'small', 'blue', 'oak', 'light', 'tent', 'lamp', 'desk', 'größe', 'mug'] as const;

/** What happens to a database while it is being backed up, until disposed. */
export interface Meanwhile extends Disposable {
  /** Written so far in a transaction that is taken back in the end. */
  readonly rows: number;
}

/** The shop's sessions, in SQLite, in WAL mode: the application that has them open until it is closed. */
export class Sessions implements Disposable {
  readonly #database: DatabaseSync;

  /** The file is made where it is not there. */
  constructor(file: string) {
    this.#database = new DatabaseSync(file);
    // What is committed stays in the log beside the database; what is too much for the cache goes there before that.
    this.#database.exec(`
      PRAGMA journal_mode = WAL;
      PRAGMA synchronous = OFF;
      PRAGMA wal_autocheckpoint = 0;
      PRAGMA cache_size = 20;`);
  }

  fill(): void {
    this.#database.exec(schema);
    this.#transaction(() => {
      this.#visit(1, firstSessions);
    });
    this.#database.exec('PRAGMA wal_checkpoint');
  }

  /** Answers how many rows were inserted, updated or deleted. */
  businessDay(): number {
    const changed = (sql: string, ...values: SQLInputValue[]): number =>
      Number(this.#database.prepare(sql).run(...values).changes);
    return this.#transaction(() => {
      const expired = tokenTime(250);
      const lively = tokenTime(firstSessions - 200);
      return (
        changed('DELETE FROM carts WHERE token < ?', expired) +
        changed('DELETE FROM sessions WHERE token < ?', expired) +
        changed('UPDATE sessions SET seen_at = seen_at + 43200 WHERE token > ?', lively) +
        changed('UPDATE carts SET quantity = quantity + 1 WHERE token > ? AND product % 4 = 1', lively) +
        this.#visit(firstSessions + 1, firstSessions + newSessions)
      );
    });
  }

  /** Goes on writing in a transaction that is open all the time: no backup may see anything of it. */
  writeMeanwhile(): Meanwhile {
    const database = this.#database;
    let rows = 0;
    database.exec('BEGIN IMMEDIATE');
    const search = database.prepare('INSERT INTO searches (words, found) VALUES (?, -1)');
    const more = (): void => {
      for (const end = rows + 25; rows < end; rows += 1) search.run(`not committed ${rows}`.padEnd(200, '.'));
    };
    more();
    const timer = setInterval(more, 10);
    return {
      get rows() {
        return rows;
      },
      [Symbol.dispose]: () => {
        clearInterval(timer);
        database.exec('ROLLBACK');
      },
    };
  }

  disaster(): void {
    this.#database.exec(disasterStatement);
  }

  [Symbol.dispose](): void {
    if (this.#database.isOpen) this.#database.close();
  }

  /** Sessions with those numbers, and what their customers did. Answers how many rows that made. */
  #visit(first: number, last: number): number {
    const session = this.#database.prepare('INSERT INTO sessions VALUES (?, ?, ?, ?, ?)');
    const cart = this.#database.prepare('INSERT INTO carts VALUES (?, ?, ?)');
    const search = this.#database.prepare('INSERT INTO searches (words, found) VALUES (?, ?)');
    let rows = 0;
    for (let number = first; number <= last; number += 1) {
      const random = noise(number, 64);
      const token = tokenTime(number) + random.toString('base64url', 0, 15);
      const customer = number % 3 === 0 ? null : 1 + ((number * 48_271) % 5000);
      // Larger than a double holds exactly.
      const device = random.readBigInt64LE(24);
      session.run(token, customer, opened + number * 3.75, device, random.subarray(32));
      for (let line = 0; line < number % 3; line += 1)
        cart.run(token, 1 + ((number * 31 + line) % 800), 1 + line);
      const word = words[number % words.length] ?? '';
      if (number % 4 === 0) search.run(`${word} ${words[(number * 7) % 9]}`, number % 60);
      rows += 1 + (number % 3) + (number % 4 === 0 ? 1 : 0);
    }
    return rows;
  }

  #transaction<T>(work: () => T): T {
    this.#database.exec('BEGIN IMMEDIATE');
    const result = work();
    this.#database.exec('COMMIT');
    return result;
  }
}

/** What a token begins with: later ones sort after earlier ones, as in many applications. */
function tokenTime(number: number): string {
  return number.toString(36).padStart(5, '0');
}

/** A forgotten WHERE. */
export const disasterStatement = 'DELETE FROM sessions';
