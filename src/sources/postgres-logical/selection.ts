import { failure } from '../../kernel/errors/failure.ts';
import { nearest } from '../../kernel/nearest.ts';
import { isListed } from './archive/phases.ts';
import { sections, type TocEntry } from './archive/toc.ts';
import { leftDependents } from './left-dependents.ts';
import { readableQualified } from '../../postgres/names.ts';
import type { Selector } from './restore-options.ts';
import { alteredTable } from './sql-statements.ts';

export interface Selection {
  /** What was asked for and all that belongs to it, in the order of the table of contents. */
  readonly entries: readonly TocEntry[];
  /** Of `entries`, what is needed only because others depend on it: left out where the target has it already. */
  readonly required: ReadonlySet<number>;
  /** Foreign keys of selected tables to tables that are not selected: kept only where the target has these. */
  readonly outwardKeys: readonly OutwardKey[];
  readonly warnings: readonly string[];
}

export interface OutwardKey {
  readonly entry: TocEntry;
  readonly schema: string;
  readonly table: string;
}

const relations = new Set(['TABLE', 'VIEW', 'MATERIALIZED VIEW', 'FOREIGN TABLE', 'SEQUENCE']);
/** Kinds that go with the relation they depend on. */
const parts = new Set([
  'TABLE DATA',
  'MATERIALIZED VIEW DATA',
  'SEQUENCE SET',
  'SEQUENCE OWNED BY',
  'DEFAULT',
  'CONSTRAINT',
  'CHECK CONSTRAINT',
  'INDEX',
  'TRIGGER',
  'RULE',
  'POLICY',
  'ROW SECURITY',
  'STATISTICS',
  'STATISTICS DATA',
]);
/** Kinds that go with whatever they depend on. */
const remarks = new Set(['COMMENT', 'ACL', 'SECURITY LABEL', 'INDEX ATTACH']);

/** Resolves `--only`. Throws `postgres_restore_selection` for a name that the backup does not have. */
export function selectEntries(all: readonly TocEntry[], selectors: readonly Selector[]): Selection {
  return new Selecting(all.filter(isListed)).run(selectors);
}

class Selecting {
  readonly #entries: readonly TocEntry[];
  readonly #byId: ReadonlyMap<number, TocEntry>;
  readonly #dependents = new Map<number, TocEntry[]>();
  readonly #chosen = new Set<number>();
  readonly #required = new Set<number>();
  readonly #outwardKeys: OutwardKey[] = [];
  readonly #warnings: string[] = [];

  constructor(entries: readonly TocEntry[]) {
    this.#entries = entries;
    this.#byId = new Map(entries.map((entry) => [entry.dumpId, entry]));
    for (const entry of entries) {
      for (const id of entry.dependencies)
        this.#dependents.set(id, [...(this.#dependents.get(id) ?? []), entry]);
    }
  }

  run(selectors: readonly Selector[]): Selection {
    for (const selector of selectors) {
      if (selector.kind === 'schema') this.#chooseSchema(selector.schema);
      else this.#chooseTable(selector);
    }
    this.#dropInheritedTriggers();
    this.#chooseRemarks();
    this.#chooseForeignKeys();
    this.#chooseRequired();
    this.#requireOperatorClasses();
    this.#chooseRemarks();
    this.#warnings.push(...leftDependents(this.#entries, this.#dependents, this.#chosen));
    const wanted = (entry: TocEntry): boolean =>
      this.#chosen.has(entry.dumpId) || this.#required.has(entry.dumpId);
    return {
      entries: this.#entries.filter(wanted),
      required: this.#required,
      outwardKeys: this.#outwardKeys,
      warnings: this.#warnings,
    };
  }

  #chooseSchema(schema: string): void {
    const members = this.#entries.filter(
      (entry) => entry.schema === schema && !this.#isForeignKey(entry) && !isPublication(entry),
    );
    const itself = this.#entries.find((entry) => entry.description === 'SCHEMA' && entry.tag === schema);
    if (members.length === 0 && itself === undefined) {
      const names = this.#entries.flatMap((entry) =>
        entry.description === 'SCHEMA' ? [entry.tag] : entry.schema === '' ? [] : [entry.schema],
      );
      throw missing(`schema ${schema}`, schema, names);
    }
    if (itself !== undefined) this.#chosen.add(itself.dumpId);
    for (const { dumpId } of members) this.#chosen.add(dumpId);
  }

  #chooseTable({ schema, table }: Selector & { kind: 'table' }): void {
    const found = this.#entries.filter(
      (entry) =>
        relations.has(entry.description) &&
        entry.tag === table &&
        (schema === undefined || entry.schema === schema),
    );
    const [relation, other] = found;
    if (relation === undefined) {
      const names = this.#entries
        .filter(({ description }) => relations.has(description))
        .map((entry) => readableQualified(entry.schema, entry.tag));
      throw missing(
        `table ${schema === undefined ? table : `${schema}.${table}`}`,
        schema === undefined ? table : `${schema}.${table}`,
        names,
      );
    }
    if (other !== undefined) {
      throw failure('postgres_restore_selection', {
        what: `single table ${table}`,
        nearest: `name one of them: ${found.map((entry) => readableQualified(entry.schema, entry.tag)).join(', ')}`,
      });
    }
    this.#chooseRelation(relation);
  }

  /** A relation with its parts, the sequences of its columns, and its partitions. */
  #chooseRelation(relation: TocEntry): void {
    if (this.#chosen.has(relation.dumpId)) return;
    this.#chosen.add(relation.dumpId);
    for (const dependent of this.#dependents.get(relation.dumpId) ?? []) {
      if (dependent.description === 'SEQUENCE') this.#chooseRelation(dependent);
      else if (dependent.description === 'TABLE ATTACH') this.#choosePartition(relation, dependent);
      else if (parts.has(dependent.description) && this.#isPartOf(dependent, relation))
        this.#choosePart(dependent);
    }
  }

  #choosePart(part: TocEntry): void {
    this.#chosen.add(part.dumpId);
    if (part.description !== 'DEFAULT' && part.description !== 'SEQUENCE OWNED BY') return;
    for (const id of part.dependencies) {
      const sequence = this.#byId.get(id);
      if (sequence?.description === 'SEQUENCE') this.#chooseRelation(sequence);
    }
  }

  #choosePartition(relation: TocEntry, attach: TocEntry): void {
    if (attach.tag === relation.tag && attach.schema === relation.schema) {
      if (this.#chosen.has(attach.dumpId)) return; // it comes with the partitioned table
      this.#warnings.push(
        `${relation.schema}.${relation.tag} is a partition; it is restored as a table of its own, without what the partitioned table gives it (triggers, foreign keys)`,
      );
      return;
    }
    const partition = attach.dependencies
      .map((id) => this.#byId.get(id))
      .find((entry) => entry !== undefined && entry.tag === attach.tag && entry.schema === attach.schema);
    if (partition === undefined) return;
    this.#chosen.add(attach.dumpId);
    this.#chooseRelation(partition);
  }

  /** A view's rule depends on the tables it reads; only what is defined on the relation is a part of it. */
  #isPartOf(entry: TocEntry, relation: TocEntry): boolean {
    if (
      entry.description === 'INDEX' ||
      entry.description === 'STATISTICS' ||
      entry.description === 'STATISTICS DATA'
    )
      return true;
    if (
      entry.description === 'SEQUENCE SET' ||
      entry.description === 'TABLE DATA' ||
      entry.description === 'MATERIALIZED VIEW DATA'
    ) {
      return entry.tag === relation.tag && entry.schema === relation.schema;
    }
    if (entry.description === 'SEQUENCE OWNED BY') return true;
    return (
      entry.schema === relation.schema &&
      (entry.tag === relation.tag || entry.tag.startsWith(`${relation.tag} `))
    );
  }

  #chooseRemarks(): void {
    for (let changed = true; changed;) {
      changed = false;
      for (const entry of this.#entries) {
        if (!remarks.has(entry.description) || this.#chosen.has(entry.dumpId)) continue;
        const about = entry.dependencies.filter((id) => this.#byId.has(id));
        const wanted =
          entry.description === 'INDEX ATTACH'
            ? about.length > 1 && about.every((id) => this.#chosen.has(id))
            : about.some((id) => this.#chosen.has(id) || this.#required.has(id));
        if (!wanted) continue;
        this.#chosen.add(entry.dumpId);
        changed = true;
      }
    }
  }

  #isForeignKey(entry: TocEntry): boolean {
    return entry.description === 'FK CONSTRAINT';
  }

  #chooseForeignKeys(): void {
    const relationIds = new Map(
      this.#entries
        .filter(({ description }) => description === 'TABLE')
        .map((entry) => [JSON.stringify([entry.schema, entry.tag]), entry.dumpId]),
    );
    for (const entry of this.#entries) {
      if (!this.#isForeignKey(entry)) continue;
      const owner = alteredTable(entry.definition);
      const ownerId = owner === undefined ? undefined : relationIds.get(JSON.stringify(owner));
      if (ownerId === undefined || !this.#chosen.has(ownerId)) continue;
      this.#chosen.add(entry.dumpId);
      for (const id of entry.dependencies) {
        const referenced = this.#byId.get(id);
        if (referenced?.description !== 'TABLE' || this.#chosen.has(id)) continue;
        this.#outwardKeys.push({ entry, schema: referenced.schema, table: referenced.tag });
      }
    }
  }

  /** What the chosen entries cannot be made without: schemas, types, functions, extensions, parents. */
  #chooseRequired(): void {
    const keys = new Set(this.#outwardKeys.map(({ entry }) => entry.dumpId));
    const queue = this.#entries.filter(({ dumpId }) => this.#chosen.has(dumpId) && !keys.has(dumpId));
    for (let entry = queue.pop(); entry !== undefined; entry = queue.pop()) {
      for (const schema of [entry.schema]) this.#requireSchema(schema);
      for (const id of entry.dependencies) {
        const needed = this.#byId.get(id);
        if (needed === undefined || needed.section !== sections.preData) continue;
        if (this.#chosen.has(id) || this.#required.has(id) || needed.description === 'TABLE ATTACH') continue;
        this.#required.add(id);
        queue.push(needed);
        if (needed.description === 'TABLE') {
          this.#warnings.push(
            `table ${needed.schema}.${needed.tag} is made without rows where it is missing, because ${entry.schema}.${entry.tag} depends on it`,
          );
        }
      }
    }
  }

  /** A partition has its parent's triggers; what it has of its own is whether they fire, which needs them to be there. */
  #dropInheritedTriggers(): void {
    for (const { dumpId, description, dependencies } of this.#entries) {
      if (description !== 'TRIGGER') continue;
      const inherited = dependencies.some(
        (id) => this.#byId.get(id)?.description === 'TRIGGER' && !this.#chosen.has(id),
      );
      if (inherited) this.#chosen.delete(dumpId);
    }
  }

  /**
   * The index of an exclusion constraint may need an operator class of an extension (btree_gist, mostly), and pg_dump
   * notes what an index depends on, but not for an index that belongs to a constraint: any extension may be the one.
   */
  #requireOperatorClasses(): void {
    const needed = this.#entries.some(
      ({ dumpId, description, definition }) =>
        this.#chosen.has(dumpId) &&
        description === 'CONSTRAINT' &&
        /\bEXCLUDE USING\b|\bWITHOUT OVERLAPS\b/.test(definition),
    );
    if (!needed) return;
    for (const { dumpId, description, dependencies } of this.#entries) {
      if (description !== 'EXTENSION' || this.#chosen.has(dumpId)) continue;
      for (const id of [dumpId, ...dependencies]) if (this.#byId.has(id)) this.#required.add(id);
    }
  }

  #requireSchema(schema: string): void {
    const entry = this.#entries.find(({ description, tag }) => description === 'SCHEMA' && tag === schema);
    if (entry !== undefined && !this.#chosen.has(entry.dumpId)) this.#required.add(entry.dumpId);
  }
}

function isPublication(entry: TocEntry): boolean {
  return entry.description.startsWith('PUBLICATION');
}

function missing(what: string, name: string, candidates: readonly string[]): Error {
  const near = nearest(name, [...new Set(candidates)]);
  return failure('postgres_restore_selection', {
    what,
    nearest: near === undefined ? whatThereIs([...new Set(candidates)]) : `nearest: ${near}`,
  });
}

/** The first ten names, and how many more. */
function whatThereIs(names: readonly string[]): string {
  if (names.length === 0) return 'it has none at all';
  const more = names.length > 10 ? ` and ${names.length - 10} more` : '';
  return `there are: ${names.toSorted().slice(0, 10).join(', ')}${more}`;
}
