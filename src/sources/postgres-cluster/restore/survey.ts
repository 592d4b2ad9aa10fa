import type { StreamRef } from '../../../contract/stream.ts';
import type { RestoreContext } from '../../port.ts';
import { configDirectory } from '../metadata.ts';
import { controlPath, itemOf, type Item, labelPath } from './entries.ts';
import { damaged } from './damaged.ts';
import { placeOf } from './layout.ts';

/** What a backup consists of, found out by reading its entries once. */
export interface Survey {
  files: number;
  bytes: number;
  /** Bytes by tablespace; those of the data directory under null. */
  readonly bytesIn: Map<number | null, number>;
  /** Files and directories. */
  readonly namesIn: Map<number | null, number>;
  /** Of each tablespace outside the directories in it: `PG_15_202209061`, hardly ever more than one. */
  readonly versions: Map<number, Set<string>>;
  /** The group may read, as initdb --allow-group-access has it. */
  groupAccess: boolean;
}

/** Throws what `itemOf` does, and `object_damaged` for paths that lead elsewhere and for parts without which nothing starts. */
export async function surveyEntries(context: RestoreContext, outside: ReadonlySet<number>): Promise<Survey> {
  const survey: Survey = {
    files: 0,
    bytes: 0,
    bytesIn: new Map(),
    namesIn: new Map(),
    versions: new Map(),
    groupAccess: false,
  };
  const found = new Set<string>();
  for await (const entry of context.entries()) {
    context.signal.throwIfAborted();
    const item = itemOf(entry);
    if (item === null) continue;
    add(survey, item, outside);
    if (item.type !== 'special') continue;
    if (found.has(item.path)) throw damaged(`${item.path} is in it twice`);
    found.add(item.path);
  }
  for (const path of [labelPath, controlPath]) if (!found.has(path)) throw damaged(`${path} is missing`);
  return survey;
}

function add(survey: Survey, item: Item, outside: ReadonlySet<number>): void {
  const { oid, relative } = placeOf(item.path, outside);
  survey.namesIn.set(oid, (survey.namesIn.get(oid) ?? 0) + 1);
  if (oid !== null) {
    const [version = ''] = relative.split('/', 1);
    const versions = survey.versions.get(oid) ?? new Set();
    survey.versions.set(oid, versions.add(version));
  }
  if (item.type === 'directory') return;
  const { size_bytes: size } = item.stream;
  survey.files += 1;
  survey.bytes += size;
  survey.bytesIn.set(oid, (survey.bytesIn.get(oid) ?? 0) + size);
  if (item.path === controlPath) survey.groupAccess = (item.mode & 0o040) !== 0;
}

export type Special = Extract<Item, { type: 'special' }>;

export function isOutsideConfig(path: string): boolean {
  return path.startsWith(configDirectory);
}

export async function readSmall(stream: StreamRef, context: RestoreContext): Promise<Buffer> {
  const [bytes] = await context.readTogether([stream]);
  if (bytes?.length !== stream.size_bytes) throw damaged('a file has another length than it should');
  return Buffer.from(bytes);
}
