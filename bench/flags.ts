import { parseArgs } from 'node:util';

export interface Flags {
  readonly gigabytes: number;
  readonly runs: number;
  readonly only: readonly string[];
  readonly scenarios: readonly string[];
  readonly jobs: readonly string[];
  readonly updates: number;
  readonly json: string | undefined;
  readonly scratch: string | undefined;
  readonly profile: boolean;
}

export const usage = `npm run bench -- MODE [flags]

  postgres   backups, second backups and restores beside the tools that are installed
  cluster    a whole cluster, full and increment, beside pgBackRest, restic and pg_basebackup
  wal        how fast WAL is stored and comes back, and how far a stream is behind
  files      many small files and a few big ones, beside restic and borg
  sqlite     a SQLite database, beside restic and borg
  s3         files and a data directory in a bucket of a local Ceph, beside restic and pgBackRest; requests are counted
  memory     peak memory of a backup and a restore
  dedup      what second backups store after small changes
  wasm       throughput of the WebAssembly loops

  --size GB        of the data, in 10^9 bytes   (postgres 2.6, cluster 2.6, wal 1, files 1, sqlite 1, s3 1, memory 5, dedup 1)
  --scale small    the same as --size 0.1: to see that everything works
  --runs N         of each contestant, in turn      (5)
  --only A,B       contestants whose name contains A or B (holdfast always takes part)
  --scenarios S,T  of full, unchanged, updates, append, restore
  --updates N      rows changed at random before a second backup   (500; cluster 20000)
  --jobs N         jobs of holdfast                 (its default)
  --scratch DIR    where repositories go; the server keeps its data in TMPDIR
  --json FILE      all figures of all runs as well
  --profile        postgres only: where the time of a backup and of a restore goes, instead of a comparison
`;

/** Throws with what to type instead. */
export function readFlags(args: readonly string[], defaultGigabytes: number, defaultUpdates = '500'): Flags {
  const { values } = parseArgs({
    args: [...args],
    options: {
      size: { type: 'string' },
      scale: { type: 'string' },
      runs: { type: 'string', default: '5' },
      only: { type: 'string', default: '' },
      scenarios: { type: 'string', default: 'full,unchanged,updates,append,restore' },
      jobs: { type: 'string' },
      updates: { type: 'string', default: defaultUpdates },
      scratch: { type: 'string' },
      json: { type: 'string' },
      profile: { type: 'boolean', default: false },
    },
  });
  if (values.scale !== undefined && values.scale !== 'small') throw new Error('--scale knows only: small');
  const size = values.size ?? (values.scale === 'small' ? '0.1' : String(defaultGigabytes));
  return {
    gigabytes: positive('--size', size),
    runs: Math.ceil(positive('--runs', values.runs)),
    only: values.only.split(',').filter(Boolean),
    scenarios: values.scenarios.split(',').filter(Boolean),
    jobs: values.jobs === undefined ? [] : [String(Math.ceil(positive('--jobs', values.jobs)))],
    updates: Math.ceil(positive('--updates', values.updates)),
    json: values.json,
    scratch: values.scratch,
    profile: values.profile,
  };
}

function positive(flag: string, text: string): number {
  const value = Number(text);
  if (!(value > 0) || !Number.isFinite(value)) throw new Error(`${flag} needs a number above 0, not ${text}`);
  return value;
}
