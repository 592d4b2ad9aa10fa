import type { TocEntry } from './archive/toc.ts';
import { readableIdentifier, readableQualified } from '../../postgres/names.ts';

/** How many a warning names. */
const mostNamed = 10;

/**
 * A warning that names the views and foreign keys that depend on chosen entries and are not chosen themselves: they
 * went with what is restored when that was dropped. None when there are none.
 */
export function leftDependents(
  entries: readonly TocEntry[],
  dependents: ReadonlyMap<number, readonly TocEntry[]>,
  chosen: ReadonlySet<number>,
): string[] {
  const left = new Set<number>();
  const queue = [...chosen];
  for (let id = queue.pop(); id !== undefined; id = queue.pop()) {
    for (const { dumpId, description } of dependents.get(id) ?? []) {
      if (chosen.has(dumpId) || left.has(dumpId) || !kinds.has(description)) continue;
      left.add(dumpId);
      queue.push(dumpId); // a view may stand on a view
    }
  }
  const names = entries.flatMap(({ dumpId, description, schema, tag }) =>
    left.has(dumpId) ? [`${kinds.get(description) ?? description} ${nameOf(description, schema, tag)}`] : [],
  );
  if (names.length === 0) return [];
  const more = names.length > mostNamed ? ` and ${names.length - mostNamed} more` : '';
  return [
    `these depend on what is restored and are not restored: ${names.slice(0, mostNamed).join(', ')}${more}; where they are lost, views come with --only table=… as well, and keys have to be made again`,
  ];
}

/** The tag of a foreign key is made of the names of its table and its own, as they are. */
function nameOf(description: string, schema: string, tag: string): string {
  return description === 'FK CONSTRAINT'
    ? `${readableIdentifier(schema)}.${tag}`
    : readableQualified(schema, tag);
}

const kinds: ReadonlyMap<string, string> = new Map([
  ['VIEW', 'view'],
  ['MATERIALIZED VIEW', 'materialized view'],
  ['FK CONSTRAINT', 'foreign key'],
]);
