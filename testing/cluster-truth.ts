import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { PageBuffer } from '../src/postgres/page/checksum.ts';

type Query = (sql: string, database?: string) => Promise<string>;

/** What is in a cluster, database by database, table by table, as text. Unlogged tables count by their definitions alone. */
export async function clusterTruth(query: Query): Promise<Map<string, string>> {
  const truth = new Map<string, string>();
  const databases = await query('SELECT datname FROM pg_database WHERE datallowconn ORDER BY 1');
  for (const database of databases.split('\n')) {
    truth.set(`${database}: definitions`, await query(definitions, database));
    const relations = await query(relationsSql, database);
    for (const line of relations.split('\n').filter(Boolean)) {
      const [name = '', kind = ''] = line.split('|');
      const sql =
        kind === 'S'
          ? `SELECT 'sequence ' || last_value FROM ${name}`
          : `SELECT count(*), md5(coalesce(string_agg(t::text, E'\\n' ORDER BY t::text COLLATE "C"), '')) FROM ${name} t`;
      truth.set(`${database}: ${name}`, await query(sql, database));
    }
    truth.set(
      `${database}: large objects`,
      await query(
        `SELECT count(*), md5(coalesce(string_agg(data, '' ORDER BY loid, pageno), '')) FROM pg_largeobject`,
        database,
      ),
    );
  }
  return truth;
}

const relationsSql = `
  SELECT format('%I.%I', n.nspname, c.relname), c.relkind
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
   WHERE c.relkind IN ('r', 'm', 'S') AND c.relpersistence = 'p' AND n.nspname NOT LIKE 'pg\\_%'
     AND n.nspname <> 'information_schema' ORDER BY 1`;

const definitions = `
  SELECT string_agg(line, E'\\n' ORDER BY line) FROM (
    SELECT format('%s %s %s %s %s', c.relname, c.relkind, c.relpersistence, s.spcname, a.attname || ' ' || format_type(a.atttypid, a.atttypmod)) AS line
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      LEFT JOIN pg_tablespace s ON s.oid = c.reltablespace
      LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
     WHERE n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema' AND c.relpersistence <> 't'
    UNION ALL SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid > 16383) x`;

/** Every index against its table, every table by itself, by `amcheck`; throws with what it finds. Needs a server that writes. */
export async function amcheckAll(query: Query): Promise<number> {
  let checked = 0;
  const databases = await query('SELECT datname FROM pg_database WHERE datallowconn ORDER BY 1');
  for (const database of databases.split('\n')) {
    await query('CREATE EXTENSION IF NOT EXISTS amcheck', database);
    const found = await query(
      `SELECT count(*), count(bt_index_parent_check(c.oid, true, true)::text)
         FROM pg_class c JOIN pg_am a ON a.oid = c.relam JOIN pg_index i ON i.indexrelid = c.oid
        WHERE a.amname = 'btree' AND c.relkind = 'i' AND c.relpersistence <> 't' AND i.indisvalid`,
      database,
    );
    checked += Number(found.split('|')[0]);
    const bad = await query(
      `SELECT c.oid::regclass, v.blkno, v.offnum, v.msg FROM pg_class c, LATERAL verify_heapam(c.oid, check_toast => true) v
        WHERE c.relkind IN ('r', 'm', 't') AND c.relpersistence = 'p'`,
      database,
    );
    if (bad !== '') throw new Error(`${database}: ${bad}`);
  }
  return checked;
}

/** Of every page of every relation of a cluster that was stopped in good order; gives how many there are. */
export function checkAllPages(dataDirectory: string, tablespaces: readonly string[] = []): number {
  let pages = 0;
  for (const root of [join(dataDirectory, 'base'), join(dataDirectory, 'global'), ...tablespaces])
    for (const name of readdirSync(root, { recursive: true, encoding: 'utf8' })) {
      const [, , segment = '0'] = /(?:^|\/)(\d+)(?:_(?:fsm|vm|init))?(?:\.(\d+))?$/.exec(name) ?? [];
      const path = join(root, name);
      if (!/(?:^|\/)\d+(?:_(?:fsm|vm|init))?(?:\.\d+)?$/.test(name) || !statSync(path).isFile()) continue;
      pages += checkPages(path, Number(segment) * 131_072);
    }
  return pages;
}

function checkPages(path: string, firstBlock: number): number {
  const bytes = readFileSync(path);
  buffer ??= new PageBuffer(8192, 8192);
  for (let at = 0; at + 8192 <= bytes.length; at += 8192) {
    const page = bytes.subarray(at, at + 8192);
    if (page.readUInt16LE(14) === 0 && page.every((byte) => byte === 0)) continue;
    buffer.bytes.set(page);
    const sum = buffer.checksums(0, 1, firstBlock + at / 8192)[0] ?? 0;
    if (sum !== page.readUInt16LE(8)) throw new Error(`${path}: block ${at / 8192} has a wrong checksum`);
  }
  return bytes.length / 8192;
}

let buffer: PageBuffer | undefined;
