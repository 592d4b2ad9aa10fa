import { defineErrors } from './define.ts';

/** Plain files written from backups, and taken back: HF-4101 and following. */
export const exportErrors = defineErrors({
  export_exists: {
    code: 'HF-4101',
    kind: 'refused',
    retryable: false,
    message: '{names} is there already in {directory}',
    hint: 'export to another directory, or pass --force to write it anew',
    explain:
      'An export never writes over a file unless it is told to. It was found out before anything was written. With --force the old file stays until the new one is complete.',
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
});
