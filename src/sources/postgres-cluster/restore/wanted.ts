import type { RestoreContext } from '../../port.ts';
import { damaged } from './damaged.ts';
import { itemOf, markName } from './entries.ts';
import { directoriesAbove, type PlacedTablespace } from './layout.ts';
import { isOutsideConfig } from './survey.ts';
import { serverDirectories } from '../../../postgres/data-directory.ts';

/** What belongs in the restored directory, by path; to find out what does not. `size` is null for directories and links. */
export type Wanted = ReadonlyMap<
  string,
  { readonly kind: 'file' | 'directory' | 'link'; readonly size: number }
>;

const directory = { kind: 'directory', size: 0 } as const;

/** Throws `object_damaged` for paths that are in the backup twice. */
export async function wantedPaths(
  context: RestoreContext,
  tablespaces: readonly PlacedTablespace[],
): Promise<Wanted> {
  const wanted = new Map<string, { kind: 'file' | 'directory' | 'link'; size: number }>();
  for (const path of serverDirectories) wanted.set(path, directory);
  wanted.set(markName, { kind: 'file', size: 0 });
  for await (const entry of context.entries()) {
    const item = itemOf(entry);
    if (item === null || isOutsideConfig(item.path)) continue;
    const { path } = item;
    for (const above of directoriesAbove(path)) wanted.set(above, directory);
    if (item.type === 'directory') {
      wanted.set(path, directory);
      continue;
    }
    if (wanted.has(path)) throw damaged(`${path} is in it twice`);
    wanted.set(path, { kind: 'file', size: item.stream.size_bytes });
  }
  for (const { oid } of tablespaces) wanted.set(`pg_tblspc/${oid}`, { kind: 'link', size: 0 });
  return wanted;
}
