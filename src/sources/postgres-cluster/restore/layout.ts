import { pathBytes } from '../../../kernel/byte-path.ts';
import { damaged } from './damaged.ts';

/** A tablespace and where it goes. */
export interface PlacedTablespace {
  readonly oid: number;
  /** Where it was. */
  readonly original: string;
  /** Absolute. */
  readonly location: string;
}

/** Where something of a backup lies: in the data directory (`oid` null), or in a tablespace outside of it. */
export interface Place {
  readonly oid: number | null;
  /** Below the data directory, or below the tablespace's location. */
  readonly relative: string;
}

const mostNameBytes = 255;

/**
 * Where the path of an entry leads to. Paths are nobody's to trust: what could lead out of the directory is damage.
 * `outside` has the OIDs of the tablespaces that `pg_tblspc` links to.
 */
export function placeOf(path: string, outside: ReadonlySet<number>): Place {
  const parts = path.split('/');
  for (const part of parts) checkName(part, path);
  const [first, second = '', version = ''] = parts;
  if (first !== 'pg_tblspc' || parts.length < 2) return { oid: null, relative: path };
  if (!/^[1-9]\d{0,9}$/.test(second)) throw damaged(`${path} names no tablespace`);
  const oid = Number(second);
  if (parts.length === 2 || !outside.has(oid)) return { oid: null, relative: path };
  // Whatever else is in the place of a tablespace is none of PostgreSQL's.
  if (!version.startsWith('PG_')) throw damaged(`${path} is in no directory of a version of PostgreSQL`);
  return { oid, relative: parts.slice(2).join('/') };
}

function checkName(name: string, path: string): void {
  const bytes = pathBytes(name);
  const text = bytes.toString('latin1');
  if (['', '.', '..'].includes(text) || /[/\0]/.test(text))
    throw damaged(`${JSON.stringify(path)} is no path in a data directory`);
  if (bytes.length > mostNameBytes) throw damaged(`${path.slice(0, 80)}… has too long a name`);
}

/** A path for the system. `base` is plain text; `relative` as entries write it. */
export function locationOf(base: string, relative: string): string | Buffer {
  // Most names are what they look like, and strings are much cheaper to hand on.
  return relative.includes('%')
    ? Buffer.concat([Buffer.from(`${base}/`), pathBytes(relative)])
    : `${base}/${relative}`;
}

/** All directories above a path, the outermost first. */
export function directoriesAbove(path: string): string[] {
  const above: string[] = [];
  for (let end = path.indexOf('/'); end > 0; end = path.indexOf('/', end + 1)) above.push(path.slice(0, end));
  return above;
}
