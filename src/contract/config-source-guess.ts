import { nearest } from '../kernel/nearest.ts';
import { allSettings, keysUnder } from './config-settings.ts';

/** The types a source can have. */
export const sourceTypes: readonly string[] = [
  ...new Set(allSettings.flatMap(({ sourceType }) => sourceType ?? [])),
];

/** `postgres, sqlite or files`. */
export const sourceTypesText = `${sourceTypes.slice(0, -1).join(', ')} or ${sourceTypes.at(-1)}`;

const otherNames: Readonly<Record<string, string>> = {
  pg: 'postgres',
  psql: 'postgres',
  cluster: 'postgres-cluster',
  pgdata: 'postgres-cluster',
  db3: 'sqlite',
  directory: 'files',
  directories: 'files',
  dir: 'files',
  folder: 'files',
  fs: 'files',
};

/** The type that is meant, by what is written for it and else by the settings beside it; undefined when nothing tells. */
export function guessSourceType(source: Readonly<Record<string, unknown>>): string | undefined {
  const { type } = source;
  if (typeof type === 'string' && type !== '') {
    const near = otherNames[type.toLowerCase()] ?? nearest(type, sourceTypes);
    if (near !== undefined) return near;
  }
  const guess = typeBySettings(source);
  // A type of its own that is none of ours, such as mysql, has settings as PostgreSQL has them.
  return guess?.startsWith('postgres') === true && type !== undefined ? undefined : guess;
}

/** The type that knows the most of the settings, misspelt ones included. Of those with paths, the names decide. */
function typeBySettings(source: Readonly<Record<string, unknown>>): string | undefined {
  const given = Object.keys(source).filter((key) => key !== 'type');
  const counts = sourceTypes.map((type) => {
    const known = keysUnder(['sources', '<name>'], type);
    return [type, given.filter((key) => nearest(key, known) !== undefined).length] as const;
  });
  const most = Math.max(...counts.map(([, count]) => count));
  const best = counts.filter(([, count]) => count === most).map(([type]) => type);
  if (best.length === 1) return best[0];
  // A server and its databases are reached by the same settings.
  if (best.includes('postgres'))
    return best.length === 2 && best.includes('postgres-cluster') ? 'postgres' : undefined;
  const pathKey = given.find((key) => nearest(key, ['paths']) !== undefined);
  return pathKey === undefined ? undefined : typeByPaths(source[pathKey]);
}

function typeByPaths(paths: unknown): string {
  const list: readonly unknown[] = Array.isArray(paths) ? paths : String(paths).split(',');
  return list.length > 0 && list.every((path) => isSqliteName(String(path))) ? 'sqlite' : 'files';
}

/** Whether a path, or a pattern of paths, ends as those of SQLite databases do. */
export function isSqliteName(path: string): boolean {
  return /\.(?:db3?|sqlite3?|s3db|sl3)$/i.test(path.trim());
}
