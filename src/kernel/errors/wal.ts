import { defineErrors } from './define.ts';

export const walErrors = defineErrors({
  wal_differs: {
    code: 'HF-5401',
    kind: 'conflict',
    retryable: false,
    message: 'other WAL of {source} is already stored at {lsn} of timeline {timeline} (object {name})',
    hint: 'find out which servers archive as {source} (pg_controldata shows the system identifier of each): two must not write the same timeline, and a copy of a cluster needs a source of its own',
    explain:
      'A position of a timeline has one content, and other bytes were stored there before, or at the same moment. What ' +
      'is stored stays as it is. Either two servers write the same timeline, or a cluster was put back from a copy of ' +
      'its directory and goes on without a new timeline, or a file was damaged on its way.',
  },
  wal_file_differs: {
    code: 'HF-5402',
    kind: 'conflict',
    retryable: false,
    message: 'another {file} of {source} is already stored (object {name})',
    hint: 'find out which servers archive as {source} (pg_controldata shows the system identifier of each): two must not make the same timeline, and a copy of a cluster needs a source of its own',
    explain:
      'A timeline history or a note about a base backup never changes, and one with other contents is stored under ' +
      'this name. Nothing was overwritten.',
  },
  wal_archive_differs: {
    code: 'HF-5403',
    kind: 'conflict',
    retryable: false,
    message:
      'the WAL of {source} in {location} is kept in segments of {stored} bytes, and the server has segments of {given}',
    hint: 'give the source another name in the settings and take a base backup of it; what is stored stays usable',
    explain: 'The size of segments was changed (`pg_resetwal --wal-segsize`). Nothing was written.',
  },
  replication_role: {
    code: 'HF-5404',
    kind: 'refused',
    retryable: false,
    message: 'user {user} may not use replication at {server}',
    hint: 'as a superuser there: ALTER ROLE {quoted} REPLICATION;',
    explain:
      'A base backup and a stream of WAL need a role with the REPLICATION attribute, or a superuser. Services that run PostgreSQL for others have ways of their own to grant it. Nothing was changed.',
  },
  replication_hba: {
    code: 'HF-5405',
    kind: 'refused',
    retryable: false,
    message: 'pg_hba.conf of {server} has no line that lets {user} in for replication: {reason}',
    hint: 'add this line to pg_hba.conf, then run SELECT pg_reload_conf(): {line}',
    explain:
      'Connections for replication need a line of their own in pg_hba.conf, with the word replication where others name a database; `all` does not stand for it.',
  },
  replication_full: {
    code: 'HF-5406',
    kind: 'unreachable',
    retryable: true,
    message: 'all {limit} connections for replication at {server} are taken',
    hint: 'see who has them: SELECT * FROM pg_stat_replication; or raise max_wal_senders and restart the server',
    explain:
      'The server lets only so many standbys, base backups and receivers of WAL in at once. A stream takes one connection and a base backup another.',
  },
  replication_off: {
    code: 'HF-5407',
    kind: 'refused',
    retryable: false,
    message: 'replication is switched off at {server}: {reason}',
    hint: 'set wal_level = replica, max_wal_senders = 10 and max_replication_slots = 10 in postgresql.conf, then restart the server',
    explain:
      'With `wal_level = minimal`, or with no senders or slots allowed, a server gives neither base backups nor WAL. These are the values PostgreSQL has unless someone changes them.',
  },
  replication_slot_exists: {
    code: 'HF-5408',
    kind: 'conflict',
    retryable: false,
    message: 'there is a replication slot {slot} at {server} already',
    hint: "take another name, or drop it when nobody needs it: SELECT pg_drop_replication_slot('{slot}');",
    explain: 'Slots have names of their own within a cluster. Nothing was changed.',
  },
  replication_slot_active: {
    code: 'HF-5409',
    kind: 'conflict',
    retryable: true,
    message: 'somebody else uses the replication slot {slot} at {server}: {reason}',
    hint: 'see who it is: SELECT * FROM pg_stat_replication; a receiver that broke off lets go of it after wal_sender_timeout',
    explain: 'A slot serves one receiver at a time.',
  },
  replication_slot_missing: {
    code: 'HF-5410',
    kind: 'not_found',
    retryable: false,
    message: 'there is no replication slot {slot} at {server}',
    hint: 'list the slots there: SELECT slot_name FROM pg_replication_slots;',
    explain:
      'Slots are not part of a backup, and before version 17 a standby does not have those of its primary: after a promotion or a restore the slot has to be made anew.',
  },
  replication_slots_full: {
    code: 'HF-5411',
    kind: 'refused',
    retryable: false,
    message: 'all replication slots at {server} are taken',
    hint: 'drop one that nobody needs (SELECT * FROM pg_replication_slots;), or raise max_replication_slots and restart the server',
    explain: 'The server lets only so many slots exist at once, used or not.',
  },
  replication_slot_unfit: {
    code: 'HF-5412',
    kind: 'refused',
    retryable: false,
    message: 'the replication slot {slot} at {server} cannot be used: {reason}',
    hint: "look at it: SELECT * FROM pg_replication_slots WHERE slot_name = '{slot}'; and take another name, or drop it and let it be made anew",
    explain:
      'The slot is one for logical replication, or the server has given it up because it kept more WAL than max_slot_wal_keep_size allows.',
  },
  wal_removed_on_server: {
    code: 'HF-5413',
    kind: 'failed',
    retryable: false,
    message: '{server} does not have the WAL from {lsn} on any more: {reason}',
    hint: 'take a full backup now; a replication slot, or a larger wal_keep_size, keeps WAL until it is fetched',
    explain:
      'The server has recycled WAL that was not fetched yet. What was lost leaves a gap: moments in it cannot be recovered to, unless that WAL is somewhere else. Nothing that is stored was changed.',
  },
  wal_start_ahead: {
    code: 'HF-5414',
    kind: 'conflict',
    retryable: false,
    message: '{server} has not written as much WAL as {lsn}: {reason}',
    hint: 'see where it is: SELECT pg_is_in_recovery(), pg_last_wal_replay_lsn(); then take a full backup if the server was set back or restored',
    explain:
      'WAL was asked for behind the end of what the server has. It may be another server than before, one that was restored to an earlier moment, or a standby that lags behind.',
  },
  wal_timeline_unknown: {
    code: 'HF-5415',
    kind: 'conflict',
    retryable: false,
    message: 'timeline {timeline} at {lsn} is not in the history of {server}: {reason}',
    hint: 'take a full backup of this server, which begins anew from its own timeline',
    explain:
      'The server never was at that position on that timeline. It is another branch of the same cluster, as a server has that was restored to an earlier moment and promoted.',
  },
  postgres_silent: {
    code: 'HF-5416',
    kind: 'unreachable',
    retryable: true,
    message: 'the PostgreSQL server at {server} has said nothing for {seconds} s',
    hint: 'look whether the server and the network between are well, then run the same command again',
    explain:
      'A connection for replication never is silent as long: the server answers when it is asked whether it is there. The connection was closed; the stream begins again where what is stored ends.',
  },
  base_backup_checksums: {
    code: 'HF-5417',
    kind: 'integrity',
    retryable: false,
    message: 'the server at {server} found pages with wrong checksums while it was backed up: {reason}',
    hint: 'look into the log of the server for the files, and restore or repair them: pg_amcheck, or a backup from before',
    explain:
      'PostgreSQL sends everything first and says only then that checksums of pages in its data directory are wrong. Its disk or memory has damaged them; the backup holds the pages as they are.',
  },
  replication_protocol: {
    code: 'HF-5418',
    kind: 'failed',
    retryable: false,
    message: '{server} does not follow the replication protocol: {reason}',
    hint: 'connect to the PostgreSQL server itself rather than through a pooler or a proxy',
    explain:
      'What came over the connection is not what PostgreSQL 14 to 18 sends. Nothing of it was believed; the connection was closed.',
  },
  wal_backup_broken: {
    code: 'HF-5419',
    kind: 'integrity',
    retryable: false,
    message: 'backup {backup} of {source} cannot be restored: {reason}',
    hint: 'store what is missing if a copy of it is left: holdfast wal push FILE; and take a new backup: holdfast backup {source}',
    explain:
      'A backup of a running cluster is a copy of files that changed meanwhile. The WAL from its start to its stop makes it consistent; without all of it the cluster does not open.',
  },
  wal_interrupted: {
    code: 'HF-5420',
    kind: 'integrity',
    retryable: false,
    message: 'the WAL of {source} has a gap on timeline {timeline}: {gap}',
    hint: 'store these segments if a copy of them is left: holdfast wal push FILE; else take a backup, from which recovery can go on: holdfast backup {source}',
    explain:
      'Recovery goes forward from a backup over WAL without a gap. Moments within the gap are lost, and those behind it can be reached only from backups that were taken behind it. The backups named still restore, up to the gap. Once a backup is taken behind it, verify only mentions it, in a note.',
  },
  wal_segment_damaged: {
    code: 'HF-5421',
    kind: 'integrity',
    retryable: false,
    message: 'segment {segment} of {source} is damaged in {name}: {reason}',
    hint: 'put back a good copy of this one object (a copy of the repository has it), or take a new backup: holdfast backup {source}',
    explain:
      'An object with WAL does not authenticate: bits of it have changed, or it was cut, swapped or moved. Recovery from the backups named ends before it, unless the same positions are stored in another object as well.',
  },
  wal_records_broken: {
    code: 'HF-5422',
    kind: 'integrity',
    retryable: false,
    message: 'the WAL of {source} breaks off at {lsn} of timeline {timeline}, in segment {segment}: {reason}',
    hint: 'take a new backup: holdfast backup {source}; then look for what damages files on the server: its disk, its memory, programs that touch pg_wal',
    explain:
      'What was archived is stored as it came, and it is no WAL that PostgreSQL can replay: a record has a wrong checksum, or does not follow the one before. Recovery from the backups named ends there, although there is WAL behind it.',
  },
  wal_history_lost: {
    code: 'HF-5423',
    kind: 'integrity',
    retryable: false,
    message:
      '{file} of {source} is missing: WAL of timeline {timeline} is stored ({range}), and no recovery finds the way to it',
    hint: 'on the server that has it: holdfast wal push PGDATA/pg_wal/{file}; or take a backup, from which recovery can go on: holdfast backup {source}',
    explain:
      'The history of a timeline tells which one it comes from, and where it left that. A server that began to archive only after it was promoted never hands it over by itself. The backups named still restore, up to the end of the timelines that are known; what was written later cannot be recovered to from them. WAL between the end of those and the beginning of this one may be missing as well: that can be told only with the history.',
  },
});
