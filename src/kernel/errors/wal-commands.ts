import { defineErrors } from './define.ts';

/** `holdfast wal push`, `get`, `status`, `stream`: HF-5430 and following. */
export const walCommandErrors = defineErrors({
  wal_source_unclear: {
    code: 'HF-5430',
    kind: 'usage',
    retryable: false,
    message: 'it is not clear whose WAL this is: {reason}',
    hint: 'name the source: --source {example}',
    explain:
      'WAL is kept for each source of type postgres-cluster apart. With one such source in the settings it is the one that is meant; with several, or none, it has to be named. Nothing was done.',
  },
  wal_file_name: {
    code: 'HF-5431',
    kind: 'usage',
    retryable: false,
    message: '{name} is no name that PostgreSQL gives to WAL',
    hint: "in postgresql.conf: archive_command = 'holdfast wal push %p', restore_command = 'holdfast wal get %f %p'",
    explain:
      'Segments have names of 24 hexadecimal digits, such as 000000010000000A000000FF; histories of timelines, labels of backups and last, partial segments end in .history, .backup and .partial. Nothing was done.',
  },
  wal_file_unreadable: {
    code: 'HF-5432',
    kind: 'failed',
    retryable: true,
    message: '{path} cannot be read: {reason}',
    hint: 'run this as the user the server runs as; PostgreSQL hands over a path in its data directory (%p)',
    explain: 'The file to archive cannot be read whole. PostgreSQL keeps it and tries again.',
  },
  wal_file_odd: {
    code: 'HF-5433',
    kind: 'refused',
    retryable: false,
    message: '{path} is not the WAL that its name says: {reason}',
    hint: 'let PostgreSQL itself hand over its files (archive_command), and look at the disk if it did',
    explain:
      'The beginning of a segment says which cluster, which timeline and which position it is of, and its size is that of all others. This one contradicts its name, so nothing was stored: in a recovery it would be refused, or worse.',
  },
  wal_cluster_unknown: {
    code: 'HF-5434',
    kind: 'refused',
    retryable: false,
    message: 'it cannot be told which cluster this is: {reason}',
    hint: 'run this in the data directory of the server, as PostgreSQL does, and as its user',
    explain:
      'A source may have had several clusters one after another, each with WAL of its own. Which one is meant stands in global/pg_control of the data directory.',
  },
  wal_not_there: {
    code: 'HF-5435',
    kind: 'not_found',
    retryable: false,
    message: '{name} is not in the repository',
    hint: 'for PostgreSQL this is where the WAL ends: holdfast wal status shows how far it goes',
    explain:
      'A server that recovers asks for segments until there are none, and for histories of timelines that may exist. wal get then ends with exit code 1, as restore_command has to; every other failure ends with 126, which stops the recovery.',
  },
  wal_gap: {
    code: 'HF-5436',
    kind: 'integrity',
    retryable: false,
    message:
      'there is a gap in the WAL of {source}: {name} is missing, while timeline {timeline} goes on from {lsn}',
    hint: 'holdfast wal status shows what can be recovered; if the server still has that file in pg_wal: holdfast wal push FILE',
    explain:
      'A recovery that was told that a segment is not there would take it for the end of all WAL, and the server would start without what came later, silently. So this is an error that stops the recovery. To recover up to the gap on purpose, restore with a target before it.',
  },
  wal_target_unwritable: {
    code: 'HF-5437',
    kind: 'failed',
    retryable: true,
    message: '{path} cannot be written: {reason}',
    hint: 'look at the space and the rights of the data directory; the recovery is stopped and can be started again',
    explain: 'What PostgreSQL asked for was found and could not be put where it wants it.',
  },
  wal_archive_missing: {
    code: 'HF-5438',
    kind: 'failed',
    retryable: false,
    message: 'there is no WAL of this cluster as source {source} in {location}',
    hint: 'see what there is: holdfast wal status; then name the source and the repository in restore_command: --source NAME --repo PLACE',
    explain:
      'Every backup of a cluster brings its WAL along, so a recovery that finds no archive at all looks in the wrong place: another repository, or a source of another name. To say that the segment is not there would let the server open as if its WAL ended here.',
  },
  wal_file_missing: {
    code: 'HF-5439',
    kind: 'not_found',
    retryable: false,
    message: 'there is no file {path}',
    hint: 'name a file that is there: ls PGDATA/pg_wal, then holdfast wal push PGDATA/pg_wal/NAME',
    explain:
      'The path to archive leads to nothing. PostgreSQL hands over a path in its data directory (%p), relative to it, and runs the command there; typed by hand in another directory it has to be a whole path. Nothing was stored.',
  },
});
