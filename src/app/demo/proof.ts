import type { Comparison } from './compare.ts';
import type { TableContent } from './portrait.ts';
import type { Portraits } from './portraits.ts';
import type { ProvenTable, StepResults } from './story.ts';
import { treeFingerprint } from './tree-portrait.ts';

/** The comparisons, drawn together by what they are about. */
export function proofOf(
  { shop, sessions, uploads }: Portraits,
  comparisons: readonly Comparison[],
): StepResults['proof'] {
  return {
    tables: provenTables(shop.tables, comparisons.filter(isOf(/^(?:pg_dump rows|row count|fingerprint)$/))),
    sequences: { count: shop.sequences.size, equal: allEqual(comparisons, /^sequence/) },
    dump: { bytes: shop.dump.bytes, equal: allEqual(comparisons, /^pg_dump/) },
    sessions: {
      tables: provenTables(sessions.tables, comparisons.filter(isOf(/^sqlite (?:rows|fingerprint)$/))),
      schema: { fingerprint: sessions.schema, equal: allEqual(comparisons, /^sqlite schema/) },
      integrity: { before: sessions.integrity, equal: allEqual(comparisons, /^sqlite integrity/) },
    },
    uploads: {
      paths: uploads.paths.size,
      fingerprint: treeFingerprint(uploads),
      equal: allEqual(comparisons, /^file /),
    },
    comparisons: comparisons.length,
    equal: comparisons.filter(({ equal }) => equal).length,
  };
}

function isOf(kind: RegExp): (comparison: Comparison) => boolean {
  return ({ what }) => kind.test(what);
}

function allEqual(comparisons: readonly Comparison[], kind: RegExp): boolean {
  return comparisons.filter(isOf(kind)).every(({ equal }) => equal);
}

function provenTables(
  tables: ReadonlyMap<string, TableContent>,
  comparisons: readonly Comparison[],
): ProvenTable[] {
  const unequal = new Set(comparisons.filter(({ equal }) => !equal).map(({ name }) => name));
  return [...tables].map(([name, content]) => ({ name, ...content, equal: !unequal.has(name) }));
}
