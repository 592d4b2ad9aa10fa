import { defineErrors } from './define.ts';

/** Backups of PostgreSQL clusters: HF-5301 and following. */
export const clusterErrors = defineErrors({
  cluster_version: {
    code: 'HF-5301',
    kind: 'refused',
    retryable: false,
    message: '{server} runs PostgreSQL {version}; clusters of 14 to 18 can be backed up',
    hint: 'back its databases up with a source of type postgres, or install a newer Holdfast',
    explain:
      'The files of a cluster are laid out differently in each major version, and only those of these versions are known here. Nothing was changed.',
  },
  cluster_wal_level: {
    code: 'HF-5302',
    kind: 'refused',
    retryable: false,
    message:
      '{server} runs with wal_level = minimal, under which its files cannot be backed up while it runs',
    hint: "as a superuser there: ALTER SYSTEM SET wal_level = 'replica'; then restart the server",
    explain:
      'A copy of files that change while they are read becomes whole by the WAL written meanwhile. With wal_level = minimal the server leaves changes out of it. Nothing was changed.',
  },
  cluster_privileges: {
    code: 'HF-5303',
    kind: 'refused',
    retryable: false,
    message: 'user {user} may not start a backup of {server}',
    hint: 'as a superuser in the database {database}: {grants}',
    explain:
      'A backup of the files is begun and ended by two functions that only superusers may call unless they are granted. Nothing was changed.',
  },
  cluster_other_directory: {
    code: 'HF-5304',
    kind: 'refused',
    retryable: false,
    message: '{directory} is not the data directory of the server at {server}: {reason}',
    hint: 'set data_directory of the source to what the server answers to: SHOW data_directory',
    explain:
      'The files are read on this machine while the server at the connection is told that a backup runs. If they belong to another server, or to a copy, the backup would be worthless. Nothing was changed.',
  },
  cluster_directory_unreadable: {
    code: 'HF-5305',
    kind: 'refused',
    retryable: false,
    message: '{path} cannot be read: {reason}',
    hint: 'run Holdfast as the user that the server runs as (often postgres), or as root',
    explain:
      'The data directory belongs to the user of the server, and others may not read it. Without all its files there is no backup.',
  },
  cluster_symlink: {
    code: 'HF-5306',
    kind: 'refused',
    retryable: false,
    message: '{path} is a symbolic link to {target}, which is not followed',
    hint: 'put what it leads to in its place (with the server stopped), or into a tablespace',
    explain:
      'Only tablespaces and pg_wal may lie elsewhere. Other links are not followed, for whoever can make one could have any file put into the backup; and without what this one leads to the backup would not start. Nothing was changed.',
  },
  cluster_promoted: {
    code: 'HF-5307',
    kind: 'conflict',
    retryable: true,
    message: '{server} was promoted, or followed a promotion, while it was backed up',
    hint: 'run the backup again',
    explain:
      'The WAL that a backup needs lies on one timeline, and this one would need that of two. Nothing of it is kept.',
  },
  cluster_wal_gone: {
    code: 'HF-5308',
    kind: 'conflict',
    retryable: true,
    message: 'the server has removed {segment} of its WAL, which this backup needs: {reason}',
    hint: 'run the backup again with a free replication slot (max_replication_slots), or set wal_keep_size to more than is written during a backup',
    explain:
      'A copy of files that change while they are read becomes whole by the WAL written meanwhile. A temporary replication slot keeps that WAL; there was none to be had, or max_slot_wal_keep_size is less than what was written. Nothing of this backup is kept.',
  },
  cluster_control_unreadable: {
    code: 'HF-5309',
    kind: 'integrity',
    retryable: false,
    message: '{path} is damaged: its checksum is wrong each time it is read',
    hint: 'look at it with pg_controldata; do not stop the server, which would not start again, before there is a dump (a source of type postgres)',
    explain:
      'pg_control says where recovery begins, and a server does not start without a good one. The file on disk is damaged, or is no such file.',
  },
  cluster_bad_pages: {
    code: 'HF-5310',
    kind: 'integrity',
    retryable: false,
    message: '{count} with a wrong checksum in {path}, the first at block {block}{relation}: {reason}',
    hint: 'look into the log of the server and at the disk; an earlier backup may have the pages whole: holdfast list',
    explain:
      'The bytes on disk are not those that the server wrote. The backup is kept, with these pages as they are, and marked as incomplete. Pages that had been backed up before they went bad are in it as they were then.',
  },
  cluster_guard: {
    code: 'HF-5311',
    kind: 'integrity',
    retryable: false,
    message:
      'block {block} of {path} is not what the backup before has, although it looks unchanged: this backup reads everything anew',
    hint: 'nothing has to be done for this backup; verify the earlier ones (holdfast verify), and find out who writes to the data directory beside the server',
    explain:
      'Increments take over pages that have not changed since the backup before, which they tell by position in the WAL and checksum. A sample of such pages is compared with what is stored each time, and here one differed: the files were written by something else than the server, the disk returned other bytes, or there is a fault in Holdfast. So nothing was taken over.',
  },
  cluster_left_out: {
    code: 'HF-5312',
    kind: 'partial',
    retryable: false,
    message: '{path} is not in the backup: {reason}',
    hint: 'move it out of the data directory, or put a plain file in its place',
    explain:
      'Links, pipes and the like in a data directory are not followed. The server itself does not make them. The backup is kept, and marked as incomplete.',
  },
  cluster_config_unreadable: {
    code: 'HF-5313',
    kind: 'partial',
    retryable: false,
    message: 'the configuration file {path} is not in the backup: {reason}',
    hint: 'let the user that Holdfast runs as read it',
    explain:
      'The server has a configuration file outside its data directory. It would be kept with the backup if it could be read. Data are not affected.',
  },
  cluster_sql_refused: {
    code: 'HF-5314',
    kind: 'partial',
    retryable: false,
    message: '{server} lets {user} replicate, but not ask in SQL which databases there are: {reason}',
    hint: 'let the role connect to a database as well (a line in pg_hba.conf, and the setting database of the source)',
    explain:
      'A backup over the replication protocol is an increment only when it is known that no database was made anew under the number of another, and damaged pages are told by the name of their table only when it can be asked for. Without SQL the backup is full each time; what is stored already is not stored again.',
  },
  cluster_config_outside: {
    code: 'HF-5315',
    kind: 'partial',
    retryable: false,
    message: 'configuration files outside the data directory are not in the backup: {paths}',
    hint: 'back them up with a source of type files on that machine',
    explain:
      'The server gives only its data directory over the replication protocol. Data are not affected; a restored cluster starts with settings of its own until these files are put in place.',
  },
  cluster_control_torn: {
    code: 'HF-5316',
    kind: 'conflict',
    retryable: true,
    message: 'global/pg_control came damaged from {server}',
    hint: 'run the backup again; if it happens each time, look at the file there with pg_controldata',
    explain:
      'The server read the file while it wrote it, or the file is damaged. It says where recovery begins, and a cluster does not start without a good one. Nothing of this backup is kept.',
  },
  cluster_database_moved: {
    code: 'HF-5317',
    kind: 'conflict',
    retryable: true,
    message:
      'while {server} was backed up the files of a database were moved: a recovery would make it empty ({databases})',
    hint: 'run the backup again, at a time when no database is moved to another tablespace',
    explain:
      'ALTER DATABASE … SET TABLESPACE copies the files of a database and removes the old ones, and so does CREATE DATABASE … STRATEGY file_copy with a template that is dropped afterwards. Recovery repeats the copy, and when the old files were gone before the backup came to them PostgreSQL makes an empty database of it, without a word; that is so for every base backup. Holdfast looks for it in the WAL of the backup, begins anew twice by itself, and then gives up. Nothing of this backup is kept.',
  },
});
