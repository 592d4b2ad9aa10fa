import type { Portraits } from './portraits.ts';

/** One comparison of what was there with what came back. */
export interface Comparison {
  readonly what:
    | 'pg_dump statements'
    | 'pg_dump rows'
    | 'row count'
    | 'fingerprint'
    | 'sequence'
    | 'sqlite rows'
    | 'sqlite fingerprint'
    | 'sqlite schema'
    | 'sqlite integrity'
    | 'file tree'
    | 'file content'
    | 'listed order'
    | 'recovered row count'
    | 'recovered fingerprint';
  readonly name: string;
  readonly equal: boolean;
  /** Null where it is on one side only. */
  readonly before: string | null;
  readonly after: string | null;
}

export function compare(before: Portraits, after: Portraits): Comparison[] {
  const each = (what: Comparison['what'], values: (portraits: Portraits) => Values): Comparison[] =>
    compareValues(what, values(before), values(after));
  return [
    ...each('pg_dump statements', ({ shop }) => new Map([['shop', shop.dump.statements]])),
    ...each('pg_dump rows', ({ shop }) => shop.dump.rows),
    ...each('row count', ({ shop }) => mapValues(shop.tables, ({ rows }) => String(rows))),
    ...each('fingerprint', ({ shop }) => mapValues(shop.tables, ({ fingerprint }) => fingerprint)),
    ...each('sequence', ({ shop }) => shop.sequences),
    ...each('sqlite rows', ({ sessions }) => mapValues(sessions.tables, ({ rows }) => String(rows))),
    ...each('sqlite fingerprint', ({ sessions }) =>
      mapValues(sessions.tables, ({ fingerprint }) => fingerprint),
    ),
    ...each('sqlite schema', ({ sessions }) => new Map([['sessions.db', sessions.schema]])),
    ...each('sqlite integrity', ({ sessions }) => new Map([['sessions.db', sessions.integrity]])),
    ...each('file tree', ({ uploads }) => uploads.paths),
    ...each('file content', ({ uploads }) => uploads.contents),
  ];
}

type Values = ReadonlyMap<string, string>;

/** By name, those that are on one side only included. */
export function compareValues(what: Comparison['what'], before: Values, after: Values): Comparison[] {
  const names = [...new Set([...before.keys(), ...after.keys()])].toSorted();
  return names.map((name) => {
    const sides = { before: before.get(name) ?? null, after: after.get(name) ?? null };
    return { what, name, equal: sides.before === sides.after, ...sides };
  });
}

function mapValues<T>(map: ReadonlyMap<string, T>, value: (of: T) => string): Values {
  return new Map(map.entries().map(([name, of]) => [name, value(of)]));
}
