import { defineErrors } from './define.ts';

/** SQLite databases: HF-5101 and following. */
export const sqliteErrors = defineErrors({
  sqlite_none_found: {
    code: 'HF-5101',
    kind: 'not_found',
    retryable: false,
    message: 'there is no database at {paths}',
    hint: 'set the paths of the source to files or patterns that match something',
    explain:
      'None of the paths and patterns of the source matches a file that could be a database. A backup of nothing would look like one that succeeded, so none is made.',
  },
  sqlite_path_matches_nothing: {
    code: 'HF-5102',
    kind: 'not_found',
    retryable: false,
    message: '{path} matches no database',
    hint: 'mend the path in the settings, or take it out if the database is gone for good',
    explain:
      'One of several paths matches nothing. The databases of the others are backed up, and the backup is marked as incomplete: a database that was moved would otherwise be missing from then on without a word.',
  },
  sqlite_not_a_database: {
    code: 'HF-5103',
    kind: 'failed',
    retryable: false,
    message: '{file} is no SQLite database: {reason}',
    hint: 'exclude it from the source, or back it up with a source of type files',
    explain: 'The file does not begin as an SQLite database does. It was not touched.',
  },
  sqlite_encrypted: {
    code: 'HF-5104',
    kind: 'failed',
    retryable: false,
    message:
      '{file} looks like an encrypted database (SQLCipher, SEE or a like extension), which SQLite itself cannot read',
    hint: 'make a copy with the program that has its key (for SQLCipher: VACUUM INTO, or sqlcipher_export), and back that copy up with a source of type files',
    explain:
      'The file does not begin as an SQLite database does, and its bytes look random. Without its key nobody can tell whether a copy of it is consistent, so none is made. It was not touched.',
  },
  sqlite_damaged: {
    code: 'HF-5105',
    kind: 'integrity',
    retryable: false,
    message: 'SQLite cannot read {file}: {reason}',
    hint: 'restore it from an earlier backup (holdfast list), or rescue what is left: sqlite3 FILE .recover',
    explain:
      'The header of the database is damaged, or the file is shorter than its header says. There is no consistent copy to be had; earlier backups are not affected. The file was not touched.',
  },
  sqlite_locked: {
    code: 'HF-5106',
    kind: 'conflict',
    retryable: true,
    message: '{file} was locked for all of the {waited} it was waited for{holder}',
    hint: 'end the long transaction, or give it more time: lock_timeout in the settings of the source. With PRAGMA journal_mode=WAL writers and backups do not wait for each other',
    explain:
      'Another program has the database locked so that nobody may read it: it is in the middle of writing a transaction, or has set locking_mode=EXCLUSIVE.',
  },
  sqlite_changing: {
    code: 'HF-5107',
    kind: 'conflict',
    retryable: true,
    message: '{file} changed each time it was copied',
    hint: 'back it up while the program that writes it is stopped, or give it more time: lock_timeout in the settings of the source',
    explain:
      'The database had to be copied as a file, because it cannot be opened without writing beside it (a log or a journal of a program that has crashed, or a directory that we may not write). Such a copy is only good when nothing changes meanwhile, and something did, each time.',
  },
  sqlite_denied: {
    code: 'HF-5108',
    kind: 'failed',
    retryable: false,
    message: 'you may not read {file}',
    hint: 'run the backup as the user who owns it, or let the user it runs as read it and the files beside it: {files}',
    explain: 'The system refuses access to the database, to its log, or to a directory above it.',
  },
  sqlite_no_room: {
    code: 'HF-5109',
    kind: 'failed',
    retryable: false,
    message: '{file} needs {needed} for a copy while it is backed up, and {directory} has {free} free',
    hint: 'free some space there, or set temp_directory to a directory with more',
    explain:
      'A database in use is copied by SQLite to a file of its own first, so that the copy is consistent and nobody who writes has to wait for the storage.',
  },
  sqlite_unreadable: {
    code: 'HF-5110',
    kind: 'failed',
    retryable: true,
    message: '{file} cannot be read: {reason}',
    hint: 'look after its disk and file system, then run the same command again',
    explain: 'The system or SQLite reports an error that has nothing to do with what is in the database.',
  },
  sqlite_not_a_file: {
    code: 'HF-5111',
    kind: 'failed',
    retryable: false,
    message: '{file} is {what}, no file',
    hint: 'name the databases in it: {file}/*.db',
    explain: 'A path of the source leads to something that cannot be a database.',
  },
  sqlite_damage_found: {
    code: 'HF-5112',
    kind: 'integrity',
    retryable: false,
    message: '{file} is damaged: {problems}',
    hint: 'see the whole of it with: sqlite3 FILE "PRAGMA integrity_check"',
    explain:
      'The copy was examined before it was stored, and SQLite found that its pages contradict each other. It was backed up as it is, because a damaged database is better than none; the backup says so. Earlier backups have it as it was.',
  },
  sqlite_unchecked: {
    code: 'HF-5113',
    kind: 'failed',
    retryable: false,
    message: '{file} could not be examined: {reason}',
    hint: 'set check: none for this source if the database needs functions or collations that only its program has',
    explain:
      'The database was copied whole, but SQLite could not run its check on the copy, most often because the schema uses functions or collations that a program defines for itself.',
  },
  sqlite_empty: {
    code: 'HF-5114',
    kind: 'failed',
    retryable: false,
    message: '{file} is empty (0 bytes){before}',
    hint: 'if it should not be, restore it from an earlier backup: holdfast list',
    explain:
      'To SQLite a file of no bytes is a database without tables, so it is backed up as such. Most often such a file was made by opening a database that was not there.',
  },
  sqlite_foreign_wal: {
    code: 'HF-5115',
    kind: 'failed',
    retryable: false,
    message: '{wal} does not belong to the database beside it ({reason}), and was left out',
    hint: 'move it away before anything opens the database: SQLite would mix the two',
    explain:
      'A write-ahead log lies beside a database that it was not written for, as happens when the database was replaced and its log was not. The database was backed up without it.',
  },
  sqlite_left_journal: {
    code: 'HF-5116',
    kind: 'failed',
    retryable: false,
    message:
      '{journal} was left by a program that crashed while it wrote; the unfinished transaction is not in the backup',
    hint: 'nothing to do: SQLite takes it back in the same way when the database is opened next',
    explain:
      'The database was copied together with the journal, and SQLite took the unfinished transaction back in the copy. The files themselves were not touched.',
  },
  sqlite_orphan: {
    code: 'HF-5117',
    kind: 'failed',
    retryable: false,
    message: '{file} is here and its database is not',
    hint: 'if the database was moved, its last transactions may be in this file: put it beside the database again',
    explain:
      'A write-ahead log or a journal without the database it belongs to. It holds nothing that could be backed up by itself.',
  },
  sqlite_in_use: {
    code: 'HF-5118',
    kind: 'conflict',
    retryable: true,
    message: '{file} is in use{holder}',
    hint: 'stop the program that has it open, then run the same command again, or restore to another place',
    explain:
      'A database that somebody has open is not replaced: what they write afterwards would be lost, and could damage the new one. Nothing was changed.',
  },
  sqlite_restored_damaged: {
    code: 'HF-5119',
    kind: 'integrity',
    retryable: false,
    message: 'the database for {file} came back as it was backed up, and is damaged: {problems}',
    hint: 'restore an earlier backup (holdfast list), or take it as it is with --no-check and mend it: REINDEX, or sqlite3 FILE .recover',
    explain:
      'Every page is as it was when the backup was taken, and PRAGMA integrity_check finds damage: the database was damaged already, in a way that the check at backup time does not look for (indexes, with check: quick). Nothing was put in place.',
  },
  sqlite_no_temporary: {
    code: 'HF-5120',
    kind: 'refused',
    retryable: false,
    message: 'no copy of a database can be made in {directory}: {reason}',
    hint: 'set temp_directory to a directory that you may write, with room for the largest database',
    explain:
      'A database in use is copied by SQLite to a file of its own before it is stored. Nothing was read yet.',
  },
  sqlite_not_taken_back: {
    code: 'HF-5121',
    kind: 'failed',
    retryable: false,
    message: '{reason}; and of what was in place by then this was left as it is: {left}',
    hint: 'look at both, stop the programs that have them open, and give the one you want its name by hand',
    explain:
      'A restore of several databases puts all in place or none. One could not be, and another one could not be taken back safely: somebody has opened or changed it since. Both, the restored one and the old one, are there, under the names that the message says.',
  },
  sqlite_kept_as_found: {
    code: 'HF-5124',
    kind: 'failed',
    retryable: false,
    message:
      '{file} had a journal of an unfinished transaction; both are kept as they were found, as {found}',
    hint: 'nothing to do: {kept} is the old database as SQLite makes it of the two; remove what you do not need',
    explain:
      'A program crashed while it wrote the database that was replaced. SQLite takes its unfinished transaction back when anybody opens the database next, and so it did here. Nobody can tell from outside whether a journal belongs to the database beside it, so both were copied first.',
  },
});
