import { constants } from 'node:fs';
import { access, lstat, readdir, readFile, readlink, stat } from 'node:fs/promises';
import { isAbsolute, join, normalize } from 'node:path';
import { failure } from '../../../kernel/errors/failure.ts';
import type { Tablespace } from '../metadata.ts';
import type { PlacedTablespace } from './layout.ts';
import type { Mark } from './local-cluster.ts';
import { nearestDirectory, resolved } from './target.ts';

/** Tablespaces that lie outside of the data directory; others are ordinary directories in `pg_tblspc`. */
export function outsideTablespaces(all: readonly Tablespace[]): readonly Tablespace[] {
  return all.filter(({ path }) => isAbsolute(path));
}

/** Where each goes. Throws `cluster_tablespace_unknown` and `cluster_tablespace_unusable`; looks at no file system yet but for links. */
export async function placeTablespaces(
  all: readonly Tablespace[],
  wishes: Readonly<Record<string, string>>,
  target: string,
): Promise<PlacedTablespace[]> {
  const outside = outsideTablespaces(all);
  const meant = new Map<number, string>();
  for (const [given, location] of Object.entries(wishes)) {
    const found = outside.filter(({ oid, path }) => String(oid) === given || path === given);
    const [first] = found;
    if (first === undefined) {
      const known = outside.map(({ oid, path }) => `${oid} (${path})`).join(', ');
      throw failure('cluster_tablespace_unknown', { given, known: known === '' ? 'none' : known });
    }
    const before = meant.get(first.oid);
    if (before !== undefined && before !== location)
      throw unusable(first.oid, location, `${before} is named for it as well`, 'name one place for it');
    meant.set(first.oid, location);
  }
  const placed: PlacedTablespace[] = [];
  for (const { oid, path: original } of outside) {
    const wished = meant.get(oid) ?? original;
    if (!isAbsolute(wished))
      throw unusable(oid, wished, 'it is no absolute path', 'write it from the root: /…');
    if (/[\n\r\0]/.test(wished))
      throw unusable(oid, JSON.stringify(wished), 'PostgreSQL takes no such name', elsewhere(oid));
    placed.push({ oid, original, location: await resolved(normalize(wished)) });
  }
  checkApart(placed, target);
  return placed;
}

function checkApart(placed: readonly PlacedTablespace[], target: string): void {
  for (const [index, { oid, location }] of placed.entries()) {
    if (contains(target, location) || contains(location, target))
      throw unusable(oid, location, `it and the data directory ${target} lie in one another`, elsewhere(oid));
    for (const other of placed.slice(0, index))
      if (contains(location, other.location) || contains(other.location, location))
        throw unusable(oid, location, `tablespace ${other.oid} goes to ${other.location}`, elsewhere(oid));
  }
}

export function contains(outer: string, inner: string): boolean {
  return inner === outer || inner.startsWith(outer.endsWith('/') ? outer : `${outer}/`);
}

/** What is in the way of a tablespace. */
export interface TablespaceState {
  readonly placed: PlacedTablespace;
  /** Directories of its version that have something in them already. */
  readonly occupied: readonly string[];
  /** They are those of the very cluster that is changed into the backup's. */
  readonly ours: boolean;
  /** Where the cluster that is there has it, when that is another place. */
  readonly before: string | null;
}

/** Looks at the place of a tablespace. `versions`: the directories the backup has in it. Throws `cluster_tablespace_unusable`. */
export async function examineTablespace(
  placed: PlacedTablespace,
  versions: ReadonlySet<string>,
  target: { readonly path: string; readonly mark: Mark | null },
): Promise<TablespaceState> {
  const { oid, location } = placed;
  const info = await stat(location).catch(() => null);
  if (info !== null && !info.isDirectory())
    throw unusable(oid, location, 'it is no directory', elsewhere(oid));
  if (info !== null) await checkUsable(location, placed);
  else await checkUsable(await nearestDirectory(location), placed, constants.W_OK | constants.X_OK);
  const occupied: string[] = [];
  for (const version of versions)
    if (await isOccupied(join(location, version), placed)) occupied.push(version);
  const link = await readlink(join(target.path, 'pg_tblspc', String(oid))).catch(() => null);
  const before = link === null ? null : await resolved(normalize(link));
  const ours = before === location || target.mark?.tablespaces[String(oid)] === location;
  return { placed, occupied, ours, before: before === location ? null : before };
}

async function checkUsable(
  path: string,
  { oid, location }: PlacedTablespace,
  mode = constants.R_OK | constants.W_OK | constants.X_OK,
): Promise<void> {
  if (!(await stat(path)).isDirectory())
    throw unusable(oid, location, `${path} is no directory`, elsewhere(oid));
  try {
    await access(path, mode);
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    const mend = `${elsewhere(oid)}; or restore as a user who may write to ${path}`;
    throw unusable(oid, location, `${path} cannot be written (${code})`, mend);
  }
}

async function isOccupied(directory: string, placed: PlacedTablespace): Promise<boolean> {
  const { oid, location } = placed;
  const info = await lstat(directory).catch(() => null);
  if (info === null) return false;
  if (!info.isDirectory()) throw unusable(oid, location, `${directory} is no directory`, elsewhere(oid));
  await checkUsable(directory, placed);
  return (await readdir(directory)).length > 0;
}

/**
 * Throws `cluster_tablespace_unusable` where something is in the place of a tablespace that is not of the cluster in the
 * target, or that another cluster uses as well: a copy of a data directory has links to the tablespaces of the original.
 */
export async function checkOurs(state: TablespaceState, target: string, original: string): Promise<void> {
  const { placed, occupied, ours } = state;
  const [first] = occupied;
  if (first === undefined) return;
  const { oid, location } = placed;
  const directory = join(location, first);
  if (!ours) {
    const reason = `${directory} is not empty, and may be in use by another cluster`;
    throw unusable(oid, location, reason, elsewhere(oid));
  }
  for (const other of new Set([await resolved(original), ...(await serversHere())])) {
    if (other === target) continue;
    const link = await readlink(join(other, 'pg_tblspc', String(oid))).catch(() => null);
    if (link !== null && (await resolved(normalize(link))) === location)
      throw unusable(oid, location, `the cluster in ${other} uses it as well`, elsewhere(oid));
  }
}

/** Data directories of servers that run on this machine, as far as we may see them. */
async function serversHere(): Promise<string[]> {
  const found = new Set<string>();
  for (const name of await readdir('/proc').catch(() => [])) {
    if (!/^\d+$/.test(name)) continue;
    const program = await readFile(`/proc/${name}/comm`, 'utf8').catch(() => '');
    if (!/^(?:postgres|postmaster|edb-)/.test(program)) continue;
    const directory = await readlink(`/proc/${name}/cwd`).catch(() => null);
    if (directory !== null) found.add(directory);
  }
  return [...found];
}

function elsewhere(oid: number): string {
  return `put it elsewhere: --tablespace ${oid}=DIRECTORY`;
}

function unusable(oid: number, location: string, reason: string, mend: string): Error {
  return failure('cluster_tablespace_unusable', { oid, location, reason, mend });
}
