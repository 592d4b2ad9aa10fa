import { sections, type TocEntry } from './toc.ts';

/** The order in which pg_restore itself works: what makes tables, their data, then all that needs both. */
export interface RestorePhases {
  readonly beforeData: readonly TocEntry[];
  readonly data: readonly TocEntry[];
  /**
   * Also has the grants, because a table may be read-only even for its owner; pg_restore puts them, then refreshed
   * views, then event triggers behind everything else by itself.
   */
  readonly afterData: readonly TocEntry[];
}

/** Restored by statements of ours, or read by pg_restore whether listed or not. */
const neverListed = new Set(['ENCODING', 'STDSTRINGS', 'SEARCHPATH', 'DATABASE', 'DATABASE PROPERTIES']);

/** True for what describes the database itself rather than something in it. */
export function isAboutDatabase(entry: TocEntry): boolean {
  if (entry.description === 'DATABASE' || entry.description === 'DATABASE PROPERTIES') return true;
  return (
    ['COMMENT', 'ACL', 'SECURITY LABEL'].includes(entry.description) &&
    entry.schema === '' &&
    entry.tag.startsWith('DATABASE ')
  );
}

export function isListed(entry: TocEntry): boolean {
  return !neverListed.has(entry.description) && !isAboutDatabase(entry);
}

/** Shares out entries, which stay in the order of the table of contents within each phase. */
export function phasesOf(entries: readonly TocEntry[]): RestorePhases {
  const phases = { beforeData: [] as TocEntry[], data: [] as TocEntry[], afterData: [] as TocEntry[] };
  // Comments, labels and grants belong to the section of what they follow, as in pg_restore.
  let current: number = sections.preData;
  for (const entry of entries) {
    if (entry.section !== sections.none) current = entry.section;
    if (!isListed(entry)) continue;
    phases[phaseOf(entry, current)].push(entry);
  }
  return phases;
}

function phaseOf(entry: TocEntry, section: number): keyof RestorePhases {
  if (entry.hasData) return 'data';
  if (entry.description === 'ACL' || entry.description === 'DEFAULT ACL') return 'afterData';
  // From 17 on large objects are made in the data section; their content has to find them.
  if (entry.description === 'BLOB METADATA' || entry.description === 'BLOB') return 'beforeData';
  if (section === sections.data && /^LARGE OBJECTS? /.test(entry.tag) && entry.section === sections.none)
    return 'beforeData';
  return section === sections.preData ? 'beforeData' : 'afterData';
}

/** The contents of a file for `pg_restore --use-list`. */
export function useList(entries: readonly TocEntry[]): string {
  return entries.map(({ dumpId }) => `${dumpId};\n`).join('');
}
