import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { outputOf } from './machine.ts';

/** One way to back up the database of PGDATABASE and to get it back, as bash commands run in a directory of its own. */
export interface Contestant {
  readonly name: string;
  readonly settings: string;
  readonly tool: 'holdfast' | 'pg_dump' | 'gzip' | 'zstd' | 'restic' | 'borg';
  /** Made once before the first backup, unmeasured. */
  readonly prepare?: string;
  readonly backup: string;
  /** What of its directory counts as stored; null where nothing is stored. */
  readonly stored: string | null;
  /** Creates the database that $TARGET names and fills it. Absent where it would repeat another contestant's. */
  readonly restore?: string;
  /** A further backup goes into the same place and shares with the earlier ones. */
  readonly keepsHistory: boolean;
}

export const holdfast = fileURLToPath(new URL('../bin/holdfast', import.meta.url));
const psql = 'psql --quiet --no-psqlrc --set=ON_ERROR_STOP=1 --dbname="$TARGET" >/dev/null';

export const contestants: readonly Contestant[] = [
  {
    name: 'holdfast',
    settings: 'encrypted, zstd 1, default jobs',
    tool: 'holdfast',
    prepare: `'${holdfast}' init --quiet`,
    backup: `'${holdfast}' backup --json`,
    stored: 'repository',
    restore: `'${holdfast}' restore latest --to "postgres://$PGHOST:$PGPORT/$TARGET" --json`,
    keepsHistory: true,
  },
  {
    name: 'pg_dump | gzip',
    settings: 'gzip -6, one stream',
    tool: 'gzip',
    backup: 'pg_dump | gzip > shop.sql.gz',
    stored: 'shop.sql.gz',
    restore: `createdb "$TARGET" && gzip -dc shop.sql.gz | ${psql}`,
    keepsHistory: false,
  },
  {
    name: 'pg_dump -Fc',
    settings: 'zlib 6; restored with -j2',
    tool: 'pg_dump',
    backup: 'pg_dump -Fc -f shop.dump',
    stored: 'shop.dump',
    restore: 'createdb "$TARGET" && pg_restore -j2 -d "$TARGET" shop.dump',
    keepsHistory: false,
  },
  {
    name: 'pg_dump -Fd -j2',
    settings: 'zlib 6, 2 processes; restored with -j2',
    tool: 'pg_dump',
    backup: 'pg_dump -Fd -j2 -f shop',
    stored: 'shop',
    restore: 'createdb "$TARGET" && pg_restore -j2 -d "$TARGET" shop',
    keepsHistory: false,
  },
  {
    name: 'pg_dump -Fd -j2 -Z1',
    settings: 'zlib 1, 2 processes',
    tool: 'pg_dump',
    backup: 'pg_dump -Fd -j2 -Z1 -f shop',
    stored: 'shop',
    keepsHistory: false,
  },
  {
    name: 'pg_dump | zstd -3 -T2',
    settings: 'zstd 3, 2 threads, one stream',
    tool: 'zstd',
    backup: 'pg_dump | zstd -q -3 -T2 -o shop.sql.zst',
    stored: 'shop.sql.zst',
    keepsHistory: false,
  },
  {
    name: 'pg_dump -Fc -Z0 to nowhere',
    settings: 'nothing compressed, nothing stored: the floor of one pg_dump',
    tool: 'pg_dump',
    backup: 'pg_dump -Fc -Z0 > /dev/null',
    stored: null,
    keepsHistory: false,
  },
  {
    name: 'pg_dump | restic',
    settings: 'encrypted, repository version 2, compression auto',
    tool: 'restic',
    prepare: 'restic init --quiet --repository-version 2',
    backup: 'pg_dump | restic backup --quiet --stdin --stdin-filename shop.sql',
    stored: 'repository',
    restore: `createdb "$TARGET" && restic dump --quiet latest /shop.sql | ${psql}`,
    keepsHistory: true,
  },
  {
    name: 'pg_dump | borg',
    settings: 'encrypted (repokey), zstd 3',
    tool: 'borg',
    prepare: 'borg init --encryption repokey',
    backup:
      'pg_dump | borg create --compression zstd,3 --stdin-name shop.sql "::{utcnow:%Y%m%d-%H%M%S-%f}" -',
    stored: 'repository',
    restore: `createdb "$TARGET" && borg extract --stdout "::$(borg list --last 1 --format '{archive}')" | ${psql}`,
    keepsHistory: true,
  },
];

const passphrase = 'a passphrase of the bench';

/** The environment of a contestant at work in `place`: every tool keeps its repository, cache and home there. */
export function environmentFor(place: string, base: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return {
    ...base,
    HOME: place,
    HOLDFAST_REPOSITORY: join(place, 'repository'),
    HOLDFAST_PASSPHRASE: passphrase,
    HOLDFAST_CACHE_DIRECTORY: join(place, 'cache'),
    RESTIC_REPOSITORY: join(place, 'repository'),
    RESTIC_PASSWORD: passphrase,
    RESTIC_CACHE_DIR: join(place, 'cache'),
    BORG_REPO: join(place, 'repository'),
    BORG_PASSPHRASE: passphrase,
    BORG_BASE_DIR: place,
  };
}

const versionQuestions: Readonly<Record<Contestant['tool'], readonly [string, ...string[]]>> = {
  holdfast: [holdfast, '--version'],
  pg_dump: ['pg_dump', '--version'],
  gzip: ['gzip', '--version'],
  zstd: ['zstd', '--version'],
  restic: ['restic', 'version'],
  borg: ['borg', '--version'],
};

/** Name and version, as the tool says; undefined for one that is not installed. */
export async function versionOf(
  tool: Contestant['tool'],
  env: NodeJS.ProcessEnv,
): Promise<string | undefined> {
  const [program, ...args] = versionQuestions[tool];
  const line = (await outputOf(program, args, env))?.trim().split('\n')[0];
  return line === undefined ? undefined : `${tool} ${/\d+(?:\.\d+)+/.exec(line)?.[0] ?? line}`;
}
