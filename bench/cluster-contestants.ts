import { holdfast, type Contestant } from './contestants.ts';

/**
 * One way to back up the cluster whose data directory is $DATA and whose server PG* name, and to get it back into the
 * directory $TARGET, as bash commands run in a directory of its own. Everybody has two processes and zstd 3.
 */
export interface ClusterContestant extends Pick<Contestant, 'name' | 'settings' | 'prepare' | 'backup'> {
  readonly tool: 'holdfast' | 'pgbackrest' | 'pg_basebackup' | 'restic';
  /** The second backup, where it is made in another way. */
  readonly again?: string;
  /** Absent where nothing can be restored that is not one of its own files. */
  readonly restore?: string;
  readonly keepsHistory: boolean;
}

const settings = (more: string): string =>
  `cat >holdfast.yaml <<'END'
compression: { level: 3 }
jobs: 2
sources: { main: { type: postgres-cluster${more} } }
END
'${holdfast}' init --quiet`;

const pgbackrest = 'pgbackrest --config="$PWD/pgbackrest.conf" --stanza=main';
const pgbackrestSettings = `cat >pgbackrest.conf <<END
[global]
repo1-path=$PWD/repository
repo1-bundle=y
lock-path=$PWD/tmp
log-path=$PWD/tmp
log-level-console=error
log-level-file=off
process-max=2
compress-type=zst
compress-level=3
start-fast=y
archive-check=n
[main]
pg1-path=$DATA
pg1-port=$PGPORT
pg1-user=$PGUSER
pg1-socket-path=$SOCKETS
END
mkdir repository`;

/** Between the two calls that a backup of files needs; what the second one says belongs into the backup. */
const online = (command: string): string => `psql -qAt <<'END'
SELECT 'ok' FROM pg_backup_start('bench', true);
\\! ${command}
SELECT labelfile FROM pg_backup_stop(false) \\g backup_label
END
test -s backup_label`;

export const clusterContestants: readonly ClusterContestant[] = [
  {
    name: 'holdfast',
    settings: 'encrypted, zstd 3, 2 jobs, files read in the data directory',
    tool: 'holdfast',
    prepare: settings(', data_directory: "${DATA}"'),
    backup: `'${holdfast}' backup main --json`,
    restore: `'${holdfast}' restore latest:main --to "$TARGET" --json`,
    keepsHistory: true,
  },
  {
    name: 'holdfast, streamed',
    settings: 'encrypted, zstd 3, 2 jobs, over the replication protocol',
    tool: 'holdfast',
    prepare: settings(''),
    backup: `'${holdfast}' backup main --json`,
    restore: `'${holdfast}' restore latest:main --to "$TARGET" --json`,
    keepsHistory: true,
  },
  {
    name: 'pgBackRest',
    settings: 'not encrypted, zstd 3, 2 processes, bundles, no WAL',
    tool: 'pgbackrest',
    prepare: `${pgbackrestSettings} && ${pgbackrest} --no-online stanza-create`,
    backup: `${pgbackrest} --type=full backup`,
    again: `${pgbackrest} --type=incr backup`,
    restore: `mkdir "$TARGET" && ${pgbackrest} --pg1-path="$TARGET" restore`,
    keepsHistory: true,
  },
  {
    name: 'restic',
    settings: 'encrypted, repository version 2, compression auto, no WAL',
    tool: 'restic',
    prepare: 'restic init --quiet --repository-version 2',
    backup: online(
      'restic backup --quiet --exclude "$DATA/pg_wal/*" --exclude "$DATA/postmaster.pid" "$DATA"',
    ),
    restore: 'restic restore --quiet latest --target all && mv "all$DATA" "$TARGET"',
    keepsHistory: true,
  },
  {
    name: 'pg_basebackup',
    settings: 'not encrypted, server-side zstd 3, 2 workers, no WAL',
    tool: 'pg_basebackup',
    backup:
      'pg_basebackup -D repository -Ft --compress=server-zstd:level=3,workers=2 -X none --checkpoint=fast --no-manifest',
    keepsHistory: false,
  },
];
