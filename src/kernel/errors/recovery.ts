import { defineErrors } from './define.ts';

/** Restore and recovery of whole PostgreSQL clusters: HF-5501 and following. */
export const recoveryErrors = defineErrors({
  cluster_target_not_empty: {
    code: 'HF-5501',
    kind: 'refused',
    retryable: false,
    message: '{target} is not empty{detail}',
    hint: 'restore to another directory; or pass --delta to make this one what the backup has, writing only what differs; or --force to keep it aside under another name and restore anew',
    explain:
      'A restore of a cluster never writes among files it does not know. --delta needs a data directory of the same cluster, or a restore that was not finished. --force renames what is there; nothing is deleted. Nothing was changed.',
  },
  cluster_target_running: {
    code: 'HF-5502',
    kind: 'refused',
    retryable: false,
    message: 'a PostgreSQL server runs in {target}: {reason}',
    hint: 'stop it first (pg_ctl stop -D {target}, or systemctl stop postgresql), then run the same command again; or restore to another directory',
    explain:
      'Files that a running server has open must not change under it; neither --delta nor --force permits that. postmaster.pid names a process that runs. Nothing was changed.',
  },
  cluster_target_other: {
    code: 'HF-5503',
    kind: 'refused',
    retryable: false,
    message: '{target} does not belong to the cluster of this backup: {reason}',
    hint: 'restore to another directory; or pass --force to keep what is there aside under another name',
    explain:
      '--delta changes a data directory into that of the backup, and removes what the backup does not have. It does so only where the system identifier is that of the backup, or where an unfinished restore of that cluster lies. Nothing was changed.',
  },
  cluster_target_links: {
    code: 'HF-5504',
    kind: 'refused',
    retryable: false,
    message: '{target} has symbolic links that a restore would have to follow: {links}',
    hint: 'replace them by what they lead to; or restore without --delta to another directory',
    explain:
      'Only pg_wal and the tablespaces in pg_tblspc may be symbolic links in a data directory that --delta works on. Through another link files outside of it would be overwritten or removed. Nothing was changed.',
  },
  cluster_tablespace_unusable: {
    code: 'HF-5505',
    kind: 'refused',
    retryable: false,
    message: 'tablespace {oid} cannot be restored to {location}: {reason}',
    hint: '{mend}',
    explain:
      'Each tablespace goes to where it was, or to where --tablespace says. That place must be absolute, free, outside of the data directory, and of no other tablespace. Nothing was changed.',
  },
  cluster_tablespace_unknown: {
    code: 'HF-5506',
    kind: 'usage',
    retryable: false,
    message: 'the backup has no tablespace {given}',
    hint: 'name it by its OID or by where it was; this backup has: {known}',
    explain: 'A tablespace was to be restored elsewhere that is not in this backup. Nothing was changed.',
  },
  cluster_no_room: {
    code: 'HF-5507',
    kind: 'refused',
    retryable: false,
    message: '{needed} bytes are needed on the file system of {place}, and {free} are free',
    hint: 'free some space there, restore to another disk, or put tablespaces elsewhere with --tablespace OID=DIRECTORY',
    explain: 'Sizes of all files that go to a file system were added up. Nothing was changed.',
  },
  cluster_backup_unknown_entries: {
    code: 'HF-5508',
    kind: 'refused',
    retryable: false,
    message: 'the backup has something that this version does not know: {kind} ({path})',
    hint: 'restore with the version of Holdfast that made the backup, or a newer one',
    explain: 'A cluster that is restored in part is none. Nothing was changed.',
  },
  cluster_restore_unfinished: {
    code: 'HF-5509',
    kind: 'failed',
    retryable: true,
    message: 'the restore to {target} is not finished: {reason}',
    hint: '{mend}; then run the same command with --delta, which goes on where this one stopped',
    explain:
      'Files of the cluster could not be written. What is in the directory cannot be started: global/pg_control, without which no server starts, is written last of all. The file holdfast.restore in it says what it is.',
  },
  cluster_start_failed: {
    code: 'HF-5510',
    kind: 'failed',
    retryable: false,
    message: 'PostgreSQL did not start in {directory}: {reason}',
    hint: 'read {log}; mend what it names, then start it with: pg_ctl start -D {directory}',
    explain:
      'The cluster is restored and complete; the server ended before it took connections or reached its target.',
  },
  cluster_recovery_target_missed: {
    code: 'HF-5511',
    kind: 'failed',
    retryable: false,
    message: 'recovery ended before it came to the target: {reason}',
    hint: 'choose a target that the archived WAL reaches (holdfast wal status shows how far it goes), and restore again with --delta; the log is {log}',
    explain:
      'PostgreSQL has replayed all WAL there is and did not come to the time, position, transaction or name that was asked for, and so it refuses to open the cluster. Nothing of the backup is lost.',
  },
  cluster_start_impossible: {
    code: 'HF-5513',
    kind: 'refused',
    retryable: false,
    message: 'PostgreSQL {major} is not installed here, so what is restored could not be started',
    hint: 'install it (Debian: apt-get install postgresql-{major}), or leave --start out and start the directory where it is',
    explain:
      'A data directory is started by the major version of PostgreSQL that made it, and by no other. Nothing was restored yet.',
  },
  cluster_start_timeout: {
    code: 'HF-5512',
    kind: 'failed',
    retryable: true,
    message: 'recovery in {directory} was still under way after {seconds} seconds',
    hint: 'it goes on: follow {log}',
    explain:
      'The server was started and left running. It replays WAL; how long that takes depends on how much there is.',
  },
  recovery_no_backup: {
    code: 'HF-5531',
    kind: 'refused',
    retryable: false,
    message: 'nothing to recover: {what}',
    hint: 'holdfast list shows the backups there are; holdfast backup takes one',
    explain:
      'Recovery begins with a backup of the whole cluster, taken by a source of the type postgres-cluster. Backups of databases and imported ones do not serve, for WAL does not fit them. Nothing was changed.',
  },
  recovery_backup_unusable: {
    code: 'HF-5532',
    kind: 'refused',
    retryable: false,
    message: 'backup {backup} cannot be recovered: {reason}',
    hint: '{next}; {reach}',
    explain:
      'A cluster is consistent only when the WAL that was written while its backup was taken has been replayed, and some of that is not in the archive. Nothing was changed.',
  },
  recovery_before_first_backup: {
    code: 'HF-5533',
    kind: 'refused',
    retryable: false,
    message: '{target} comes before the end of backup {backup}: {reason}',
    hint: '{next}; {reach}',
    explain:
      'Recovery goes forward from the end of a backup, and none that may be used ended before what was asked for. PostgreSQL itself would stop later than asked, without a word. Nothing was changed.',
  },
  recovery_target_in_gap: {
    code: 'HF-5534',
    kind: 'refused',
    retryable: false,
    message: '{target} cannot be reached from backup {backup}: {reason}',
    hint: '{next}; {reach}',
    explain:
      'Recovery needs all WAL from the backup to the target, and some of it was never stored or was removed. Behind a gap only a later backup helps. Nothing was changed.',
  },
  recovery_target_in_future: {
    code: 'HF-5535',
    kind: 'refused',
    retryable: false,
    message: '{target} is behind the last that backup {backup} can be recovered to: {reason}',
    hint: '{next}; {reach}',
    explain:
      'PostgreSQL refuses to open a cluster that did not come to its target. The archive may still lack what the server wrote last: holdfast wal status shows how far it goes. Nothing was changed.',
  },
  recovery_target_not_in_timeline: {
    code: 'HF-5536',
    kind: 'refused',
    retryable: false,
    message: 'backup {backup} does not lead to {target} on the timeline asked for: {reason}',
    hint: '{next}; {reach}',
    explain:
      'Each promotion begins a new timeline, and a backup leads only to those that branched off behind its end. Nothing was changed.',
  },
  recovery_history_missing: {
    code: 'HF-5538',
    kind: 'refused',
    retryable: false,
    message: 'where the WAL behind backup {backup} ends cannot be told: {reason}',
    hint: '{next}; {reach}',
    explain:
      'The history of a timeline tells which one it comes from, and where it left that. Without it the newest WAL there is may belong to this backup or not, and a recovery to the end of an older timeline would leave it out without a word. A server that began to archive only after it was promoted never hands its history over by itself. Nothing was changed.',
  },
  recovery_target_unknown: {
    code: 'HF-5537',
    kind: 'refused',
    retryable: false,
    message: '{target} was not found in the WAL that backup {backup} can be recovered with: {reason}',
    hint: '{next}; {reach}',
    explain:
      'All WAL that recovery would replay was looked through. A transaction that only read has no number; the number of a subtransaction, or of one that was prepared and not finished, is no target. Nothing was changed.',
  },
});
