import { defineErrors } from './define.ts';

/** Plain files written from backups, and taken back: HF-4101 and following. */
export const exportErrors = defineErrors({
  export_exists: {
    code: 'HF-4101',
    kind: 'refused',
    retryable: false,
    message: '{directory} already has {names}',
    hint: 'export to another directory, or pass --force to write it anew',
    explain:
      'An export never writes over a file unless it is told to. It was found out before anything was written. With --force the old file stays until the new one is complete. Roles that another export of the same backup has written just so are kept as they are, and are no reason to refuse.',
  },
  export_target: {
    code: 'HF-4102',
    kind: 'refused',
    retryable: false,
    message: 'cannot export to {directory}: {reason}',
    hint: '{mend}',
    explain: 'Found out before anything was written.',
  },
  export_write_failed: {
    code: 'HF-4103',
    kind: 'failed',
    retryable: true,
    message: 'cannot write {path}: {reason}',
    hint: '{mend}',
    explain:
      'The export was given up. What was written only in part is removed; files that have their names are complete.',
  },
  export_options: {
    code: 'HF-4104',
    kind: 'usage',
    retryable: false,
    message: '{option} has no meaning for a backup of {kind}',
    hint: '{suggestion}',
    explain: 'Each kind of backup is exported in its own formats. Nothing was written.',
  },
  import_unreadable: {
    code: 'HF-4111',
    kind: 'not_found',
    retryable: false,
    message: 'cannot read {file}: {reason}',
    hint: 'check the name and who may read it',
    explain: 'The file to import could not be opened or read to its end. Nothing of it was made a backup.',
  },
  import_unknown: {
    code: 'HF-4112',
    kind: 'refused',
    retryable: false,
    message: '{file} is no file that can be imported: {reason}',
    hint: 'import takes .dump (pg_dump -Fc), .sql and .sql.gz, .db (SQLite), .tar and .tar.gz',
    explain: 'Files are recognised by what is in them, not by their names. Nothing was made a backup.',
  },
  import_checksum: {
    code: 'HF-4113',
    kind: 'integrity',
    retryable: false,
    message: '{file} is not what {checksum} says it is',
    hint: 'fetch the file again, or export it again; if it was changed on purpose, remove {checksum} and import it',
    explain:
      'Beside the file is one with its SHA-256, and the two do not match: one of them was damaged or changed. Nothing was made a backup.',
  },
  import_damaged: {
    code: 'HF-4114',
    kind: 'integrity',
    retryable: false,
    message: '{file} is damaged: {reason}',
    hint: 'fetch the file again, or look for another copy',
    explain: 'The file ends too early or contradicts itself. Nothing of it was made a backup.',
  },
  import_unsupported: {
    code: 'HF-4115',
    kind: 'refused',
    retryable: false,
    message: '{file} holds {what}, which import does not take',
    hint: '{mend}',
    explain:
      'Rather than leave something out of a backup unseen, import refuses files with parts it does not know, and names that lead out of the place they are restored to. Nothing was made a backup.',
  },
});
