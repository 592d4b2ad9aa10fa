import { lstat } from 'node:fs/promises';
import { failure } from '../../../kernel/errors/failure.ts';
import type { RestoreContext } from '../../port.ts';
import type { TablespaceState } from './tablespaces.ts';
import { type Local, localTree, tablespaceLink } from './tree.ts';
import { wantedPaths } from './wanted.ts';

/** How a directory that is there differs from what the backup has, as far as names and sizes tell. */
export interface Difference {
  /** Files that are not in the backup and will be removed. */
  readonly extra: number;
  /** Segments of WAL among them that the server has not archived yet. */
  readonly unarchivedWal: readonly string[];
  /** By how many bytes files grow, by tablespace; those of the data directory under null. */
  readonly growth: ReadonlyMap<number | null, number>;
}

const namedLinks = 10;

/** Looks at all that is there. Throws `cluster_target_links`. */
export async function differenceOf(
  target: string,
  tablespaces: readonly TablespaceState[],
  context: RestoreContext,
): Promise<Difference> {
  const wanted = await wantedPaths(
    context,
    tablespaces.map(({ placed }) => placed),
  );
  const growth = new Map<number | null, number>();
  const missing = new Map(wanted);
  const links: string[] = [];
  const wal = new Map<string, 'segment' | 'done'>();
  let extra = 0;
  for await (const { oid, local } of everythingIn(target, tablespaces)) {
    context.signal.throwIfAborted();
    noteWal(wal, local);
    if (local.kind === 'link' && !tablespaceLink.test(local.path)) links.push(local.path);
    const known = wanted.get(local.path);
    missing.delete(local.path);
    if (known?.kind !== local.kind) extra += local.kind === 'directory' ? 0 : 1;
    else if (known.kind === 'file') {
      const { size } = await lstat(local.location);
      growth.set(oid, (growth.get(oid) ?? 0) + Math.max(0, known.size - size));
    }
  }
  if (links.length > 0) {
    const more = links.length > namedLinks ? ` and ${links.length - namedLinks} more` : '';
    throw failure('cluster_target_links', { target, links: links.slice(0, namedLinks).join(', ') + more });
  }
  for (const [path, { size }] of missing) {
    const oid = oidOf(path, tablespaces);
    growth.set(oid, (growth.get(oid) ?? 0) + size);
  }
  const unarchivedWal = [...wal].filter(([, state]) => state === 'segment').map(([name]) => name);
  return { extra, unarchivedWal: unarchivedWal.toSorted(), growth };
}

/** All there is in a data directory and in those of its tablespaces that are its own. */
export async function* everythingIn(
  base: string,
  tablespaces: readonly TablespaceState[],
): AsyncGenerator<{ readonly oid: number | null; readonly local: Local }, void, void> {
  for await (const local of localTree(base, '')) yield { oid: null, local };
  for (const { placed, occupied, ours } of tablespaces) {
    if (!ours) continue;
    const { oid, location } = placed;
    for (const version of occupied)
      for await (const local of localTree(`${location}/${version}`, `pg_tblspc/${oid}/${version}/`))
        yield { oid, local };
  }
}

function oidOf(path: string, tablespaces: readonly TablespaceState[]): number | null {
  const oid = Number(/^pg_tblspc\/(\d+)\//.exec(path)?.[1]);
  return tablespaces.some(({ placed }) => placed.oid === oid) ? oid : null;
}

/** Segments that have no `.done` may hold what is nowhere else. */
function noteWal(wal: Map<string, 'segment' | 'done'>, { path }: Local): void {
  const [, done, name] = /^pg_wal\/(archive_status\/)?([0-9A-F]{24})(?:\.done)?$/.exec(path) ?? [];
  if (name === undefined) return;
  if (done === undefined && !path.endsWith('.done')) {
    if (!wal.has(name)) wal.set(name, 'segment');
  } else if (path.endsWith('.done')) wal.set(name, 'done');
}
