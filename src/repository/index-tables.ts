import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { recordHeaderBytes } from '../pipeline/pack-format.ts';

const schemaVersion = 2;
/** Of a pack `p`: whether the last listing showed it, with its size. */
export const isListed = 'EXISTS (SELECT 1 FROM temp.listing l WHERE l.id = p.id AND l.size = p.size)';
/** Marked by garbage collection: nothing may come to rely on it any more. */
export const isDoomed = 'EXISTS (SELECT 1 FROM temp.doomed m WHERE m.id = p.id)';
/**
 * Of a pack `p`: that an agent sealed it. It is opened as any other, and no new backup relies on it but the agent's own: one
 * that was taken over could say of data it only knows that it has stored them.
 */
export const isOfAgent = 'length(p.salt) > 32';
/** Of a blob `b`: whether this copy is known to be damaged. */
export const isDamaged = 'EXISTS (SELECT 1 FROM damaged d WHERE d.id = b.id AND d.pack = b.pack)';

/** Makes the tables that are not there, and the temporary ones of this connection. Throws for another version of them. */
export function createTables(database: DatabaseSync): void {
  const version = Number(database.prepare('PRAGMA user_version').get()?.['user_version']);
  if (version !== 0 && version !== schemaVersion) throw new Error(`a cache of version ${version}`);
  database.exec(`
    CREATE TABLE IF NOT EXISTS indexes (name TEXT PRIMARY KEY) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS packs (
      number INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, salt BLOB NOT NULL, size INTEGER NOT NULL);
    CREATE TABLE IF NOT EXISTS blobs (
      id BLOB NOT NULL, pack INTEGER NOT NULL, type INTEGER NOT NULL, codec INTEGER NOT NULL,
      offset INTEGER NOT NULL, raw INTEGER NOT NULL, stored INTEGER NOT NULL,
      PRIMARY KEY (id, pack)) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS damaged (
      id BLOB NOT NULL, pack INTEGER NOT NULL, PRIMARY KEY (id, pack)) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS untold (pack INTEGER PRIMARY KEY);
    CREATE INDEX IF NOT EXISTS blobs_by_pack ON blobs (pack, offset);
    PRAGMA user_version = ${schemaVersion};
    PRAGMA temp.journal_mode = OFF;
    CREATE TEMP TABLE listing (id BLOB PRIMARY KEY, size INTEGER NOT NULL, at INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TEMP TABLE arriving (id BLOB PRIMARY KEY, size INTEGER NOT NULL, at INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TEMP TABLE claimed (id BLOB PRIMARY KEY) WITHOUT ROWID;
    CREATE TEMP TABLE depended (pack INTEGER PRIMARY KEY);
    CREATE TEMP TABLE own (id BLOB PRIMARY KEY, size INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TEMP TABLE doomed (
      id BLOB PRIMARY KEY, marked_at INTEGER NOT NULL, grace INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TEMP TABLE visited (id BLOB PRIMARY KEY) WITHOUT ROWID;
    CREATE TEMP TABLE needed (id BLOB PRIMARY KEY) WITHOUT ROWID;
  `);
}

/** Every statement of the cache, ready to run. */
export function prepare(
  database: DatabaseSync,
  trustsAgents: boolean,
): Record<
  | 'hasIndex'
  | 'addIndex'
  | 'packNumber'
  | 'addPack'
  | 'addBlob'
  | 'listed'
  | 'stored'
  | 'listedSize'
  | 'unindexed'
  | 'locate'
  | 'presentPack'
  | 'anyPack'
  | 'copies'
  | 'markDamaged'
  | 'clearDamage'
  | 'claim'
  | 'isClaimed'
  | 'depend'
  | 'missingDependencies'
  | 'own'
  | 'doom'
  | 'reliedOnDoomed'
  | 'visit'
  | 'need'
  | 'neededPacks'
  | 'listedPacks'
  | 'listedBytes'
  | 'recordBytes'
  | 'pack'
  | 'packBlobs'
  | 'noteUntold'
  | 'noteTold'
  | 'untoldOfAgents',
  StatementSync
> {
  return {
    hasIndex: database.prepare('SELECT 1 FROM indexes WHERE name = ?'),
    addIndex: database.prepare('INSERT OR IGNORE INTO indexes (name) VALUES (?)'),
    packNumber: database.prepare('SELECT number FROM packs WHERE id = ?'),
    addPack: database.prepare('INSERT OR IGNORE INTO packs (id, salt, size) VALUES (?, ?, ?)'),
    addBlob: database.prepare('INSERT OR IGNORE INTO blobs VALUES (?, ?, ?, ?, ?, ?, ?)'),
    listed: database.prepare('INSERT OR REPLACE INTO temp.arriving VALUES (?, ?, ?)'),
    stored: database.prepare('INSERT OR REPLACE INTO temp.listing VALUES (?, ?, ?)'),
    listedSize: database.prepare('SELECT size FROM temp.listing WHERE id = ?'),
    unindexed: database.prepare(
      'SELECT l.id, l.size FROM temp.listing l WHERE NOT EXISTS (SELECT 1 FROM packs p WHERE p.id = l.id)',
    ),
    locate: database.prepare(
      `SELECT b.type, b.codec, b.offset, b.raw, b.stored, p.id AS pack_id, p.salt, p.size,
              ${isListed} AS present, ${isDamaged} AS damaged, ${isDoomed} AS doomed
       FROM blobs b JOIN packs p ON p.number = b.pack WHERE b.id = ?
       ORDER BY present DESC, damaged, doomed, b.pack LIMIT 1`,
    ),
    presentPack: database.prepare(
      `SELECT b.pack FROM blobs b JOIN packs p ON p.number = b.pack
       WHERE b.id = ? AND ${isListed} AND NOT ${isDamaged} AND NOT ${isDoomed}
       ${trustsAgents ? '' : `AND NOT ${isOfAgent}`} LIMIT 1`,
    ),
    anyPack: database.prepare(
      `SELECT b.pack, ${isOfAgent} AS of_agent FROM blobs b JOIN packs p ON p.number = b.pack
       WHERE b.id = ? AND ${isListed} AND NOT ${isDamaged} ORDER BY ${isDoomed}, ${isOfAgent}, p.id LIMIT 1`,
    ),
    copies: database.prepare(
      `SELECT p.id, p.size, ${isOfAgent} AS of_agent FROM blobs b JOIN packs p ON p.number = b.pack
       WHERE b.id = ? AND ${isListed} AND NOT ${isDamaged} ORDER BY ${isDoomed}, ${isOfAgent}, p.id`,
    ),
    markDamaged: database.prepare('INSERT OR IGNORE INTO damaged SELECT ?, number FROM packs WHERE id = ?'),
    clearDamage: database.prepare('DELETE FROM damaged WHERE pack = (SELECT number FROM packs WHERE id = ?)'),
    claim: database.prepare('INSERT OR IGNORE INTO temp.claimed VALUES (?)'),
    isClaimed: database.prepare('SELECT 1 FROM temp.claimed WHERE id = ?'),
    depend: database.prepare('INSERT OR IGNORE INTO temp.depended VALUES (?)'),
    visit: database.prepare('INSERT OR IGNORE INTO temp.visited VALUES (?)'),
    need: database.prepare('INSERT OR IGNORE INTO temp.needed VALUES (?)'),
    neededPacks: database.prepare(
      'SELECT l.id, l.size FROM temp.needed n JOIN temp.listing l ON l.id = n.id ORDER BY l.id',
    ),
    listedPacks: database.prepare('SELECT id, size FROM temp.listing ORDER BY id'),
    listedBytes: database.prepare(
      'SELECT COUNT(*) AS packs, COALESCE(SUM(size), 0) AS bytes FROM temp.listing',
    ),
    recordBytes: database.prepare(
      `SELECT COALESCE(SUM(b.stored + ${recordHeaderBytes}), 0) AS bytes FROM packs p
       CROSS JOIN blobs b ON b.pack = p.number WHERE ${isListed}`,
    ),
    pack: database.prepare('SELECT number, salt, size FROM packs WHERE id = ?'),
    packBlobs: database.prepare(
      'SELECT id, type, codec, offset, raw, stored FROM blobs WHERE pack = ? ORDER BY offset',
    ),
    noteUntold: database.prepare('INSERT OR IGNORE INTO untold SELECT number FROM packs WHERE id = ?'),
    noteTold: database.prepare('DELETE FROM untold WHERE pack = (SELECT number FROM packs WHERE id = ?)'),
    untoldOfAgents: database.prepare(
      `SELECT p.id FROM untold u JOIN packs p ON p.number = u.pack
       WHERE ${isOfAgent} AND ${isListed} AND NOT ${isDoomed} ORDER BY p.id`,
    ),
    missingDependencies: database.prepare(
      `SELECT p.id FROM temp.depended d JOIN packs p ON p.number = d.pack WHERE NOT ${isListed}
       UNION SELECT p.id FROM temp.own p WHERE NOT ${isListed}`,
    ),
    own: database.prepare('INSERT OR IGNORE INTO temp.own VALUES (?, ?)'),
    doom: database.prepare(
      `INSERT INTO temp.doomed VALUES (?, ?, ?)
       ON CONFLICT (id) DO UPDATE SET marked_at = min(marked_at, excluded.marked_at), grace = min(grace, excluded.grace)`,
    ),
    reliedOnDoomed: database.prepare(
      `SELECT m.id, m.marked_at, m.grace FROM temp.depended d JOIN packs p ON p.number = d.pack
       JOIN temp.doomed m ON m.id = p.id
       UNION SELECT m.id, m.marked_at, m.grace FROM temp.own o JOIN temp.doomed m ON m.id = o.id`,
    ),
  };
}
