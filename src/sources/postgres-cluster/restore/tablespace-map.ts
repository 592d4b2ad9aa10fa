import type { PlacedTablespace } from './layout.ts';
import { damaged } from './damaged.ts';

/**
 * `tablespace_map` with the new places. The server makes its links anew by it when it starts, so what it names must be what
 * was restored: tablespaces that came or went during the backup are left to the WAL.
 */
export function mappedTablespaces(map: string, placed: readonly PlacedTablespace[]): string {
  const locations = new Map(placed.map(({ oid, location }) => [oid, location]));
  const lines: string[] = [];
  for (const line of splitMap(map)) {
    const oid = Number(/^([1-9]\d{0,9}) /.exec(line)?.[1]);
    if (Number.isNaN(oid)) throw damaged('its tablespace_map cannot be understood');
    const location = locations.get(oid);
    if (location !== undefined) lines.push(`${oid} ${escaped(location)}\n`);
  }
  return lines.join('');
}

/** A line ends where its end is not escaped. */
function splitMap(map: string): string[] {
  const lines: string[] = [];
  for (let at = 0, from = 0; at < map.length; at += 1) {
    if (map[at] === '\\') at += 1;
    else if (map[at] === '\n') {
      if (at > from) lines.push(map.slice(from, at));
      from = at + 1;
    } else if (at === map.length - 1) lines.push(map.slice(from));
  }
  return lines;
}

function escaped(location: string): string {
  return location.replaceAll(/[\n\r\\]/g, String.raw`\$&`);
}
