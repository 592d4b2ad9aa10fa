import { dirname, relative, sep } from 'node:path';
import { pathText } from '../../kernel/byte-path.ts';

/** The deepest directory that holds all of these files. */
export function commonDirectory(files: readonly string[]): string {
  const [first, ...rest] = files.map((file) => dirname(file).split(sep));
  if (first === undefined) return sep;
  let shared = first.length;
  for (const names of rest) {
    const differs = first.findIndex((name, index) => names[index] !== name);
    shared = Math.min(shared, differs === -1 ? first.length : differs);
  }
  return first.slice(0, shared).join(sep) || sep;
}

/** The path of a database in its backup. */
export function entryPath(directory: string, file: string): string {
  return pathText(Buffer.from(relative(directory, file)));
}

/** That of its hashes. No database can have it: `pathText` writes a `%` with two digits behind it only. */
export function hashesPath(databasePath: string): string {
  return `${databasePath}%page-hashes`;
}
