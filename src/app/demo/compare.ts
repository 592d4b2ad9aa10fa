import type { Portrait } from './portrait.ts';

/** One comparison of what was there with what came back. */
export interface Comparison {
  readonly what: 'pg_dump statements' | 'pg_dump rows' | 'row count' | 'fingerprint' | 'sequence';
  readonly name: string;
  readonly equal: boolean;
  /** Null where it is on one side only. */
  readonly before: string | null;
  readonly after: string | null;
}

export function compare(before: Portrait, after: Portrait): Comparison[] {
  const each = (what: Comparison['what'], values: (portrait: Portrait) => Values): Comparison[] =>
    compareValues(what, values(before), values(after));
  return [
    ...each('pg_dump statements', ({ dump }) => new Map([['shop', dump.statements]])),
    ...each('pg_dump rows', ({ dump }) => dump.rows),
    ...each('row count', ({ tables }) => mapValues(tables, ({ rows }) => String(rows))),
    ...each('fingerprint', ({ tables }) => mapValues(tables, ({ fingerprint }) => fingerprint)),
    ...each('sequence', ({ sequences }) => sequences),
  ];
}

type Values = ReadonlyMap<string, string>;

function compareValues(what: Comparison['what'], before: Values, after: Values): Comparison[] {
  const names = [...new Set([...before.keys(), ...after.keys()])].toSorted();
  return names.map((name) => {
    const sides = { before: before.get(name) ?? null, after: after.get(name) ?? null };
    return { what, name, equal: sides.before === sides.after, ...sides };
  });
}

function mapValues<T>(map: ReadonlyMap<string, T>, value: (of: T) => string): Values {
  return new Map(map.entries().map(([name, of]) => [name, value(of)]));
}
