import { pathBytes } from '../../kernel/byte-path.ts';

/** The path of the entry that stands for the place a backup is restored to. */
export const topPath = '.';

/**
 * The order of entries: below 0 when `one` comes first. A directory comes before what is in it, and what is in it in
 * the order of the bytes of its names. Both are written as `pathText` does.
 */
export function comparePaths(one: string, other: string): number {
  if (one === other) return 0;
  if (one === topPath) return -1;
  if (other === topPath) return 1;
  return Buffer.compare(sortable(one), sortable(other));
}

/** With 0, which no name has, for the slash: so the end of a name comes before every byte that makes it longer. */
function sortable(path: string): Buffer {
  const bytes = pathBytes(path);
  for (let at = bytes.indexOf(slash); at !== -1; at = bytes.indexOf(slash, at + 1)) bytes[at] = 0;
  return bytes;
}

const slash = 0x2f;

/** The path of what is called `name` (as `pathText` writes it) in the directory at `directory`. */
export function pathIn(directory: string, name: string): string {
  return directory === topPath ? name : `${directory}/${name}`;
}
