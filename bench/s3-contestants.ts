import { holdfast, type Contestant } from './contestants.ts';

/**
 * One way to back up what is in $DATA into the bucket $BUCKET of the gateway at 127.0.0.1:$S3_PORT, whose certificate is
 * $CERTIFICATE, and to get it back into $TARGET, as bash commands run in a directory of its own.
 */
export interface S3Contestant extends Pick<Contestant, 'name' | 'settings' | 'prepare' | 'backup'> {
  readonly tool: 'holdfast' | 'restic' | 'pgbackrest';
  /** The second backup, where it is made in another way. */
  readonly again?: string;
  readonly restore: string;
}

/** What Node compiles it keeps for the next start: as with a program that was used before, in a repository of its own. */
const runOnce = `mkdir once && echo 1 >once/file && export HOLDFAST_REPOSITORY="s3://$BUCKET/once" && '${holdfast}' init --quiet && '${holdfast}' backup --from files:once --quiet`;

const restic = 'restic --cacert "$CERTIFICATE" -o s3.bucket-lookup=path';

export const treeContestants: readonly S3Contestant[] = [
  {
    name: 'holdfast',
    settings: 'encrypted, zstd 1, default jobs',
    tool: 'holdfast',
    prepare: `'${holdfast}' init --quiet && ${runOnce}`,
    backup: `'${holdfast}' backup --from "files:$DATA" --json`,
    restore: `'${holdfast}' restore latest --to "$TARGET" --json`,
  },
  {
    name: 'restic',
    settings: 'encrypted, repository version 2, compression auto, default connections',
    tool: 'restic',
    prepare: `${restic} init --quiet --repository-version 2`,
    backup: `cd "$DATA" && ${restic} backup --quiet .`,
    restore: `${restic} restore --quiet latest --target "$TARGET"`,
  },
];

const pgbackrest = 'pgbackrest --config="$PWD/pgbackrest.conf" --stanza=main --no-online';

/** Of the data directory of a server that does not run. */
export const dataDirectoryContestants: readonly S3Contestant[] = [
  ...treeContestants,
  {
    name: 'pgBackRest',
    settings: 'not encrypted, zstd 3, 2 processes, bundles, offline',
    tool: 'pgbackrest',
    prepare: `cat >pgbackrest.conf <<END
[global]
repo1-type=s3
repo1-path=/repo
repo1-s3-bucket=$BUCKET
repo1-s3-endpoint=127.0.0.1
repo1-s3-region=us-east-1
repo1-s3-key=$AWS_ACCESS_KEY_ID
repo1-s3-key-secret=$AWS_SECRET_ACCESS_KEY
repo1-s3-uri-style=path
repo1-storage-host=127.0.0.1
repo1-storage-port=$S3_PORT
repo1-storage-verify-tls=n
repo1-bundle=y
lock-path=$PWD/tmp
log-path=$PWD/tmp
log-level-console=error
log-level-file=off
process-max=2
compress-type=zst
compress-level=3
[main]
pg1-path=$DATA
END
${pgbackrest} stanza-create`,
    backup: `${pgbackrest} --type=full backup`,
    // Of a server that stands still it says that nothing has changed, and ends with 55.
    again: `${pgbackrest} --type=incr backup || [ $? = 55 ]`,
    restore: `mkdir "$TARGET" && ${pgbackrest.replace(' --no-online', '')} --type=none --pg1-path="$TARGET" restore`,
  },
];
