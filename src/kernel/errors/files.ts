import { defineErrors } from './define.ts';

/** Directories and files: HF-5201 and following. */
export const filesErrors = defineErrors({
  posix_helper_failed: {
    code: 'HF-5201',
    kind: 'failed',
    retryable: true,
    message: 'the helper program that reads and sets extended attributes and times failed: {reason}',
    hint: 'run the same command again; with `xattrs: off` in its source a backup does without',
    explain:
      'What Node cannot do with files, a small program in Perl does beside it: extended attributes, times to the nanosecond. That program ended before it had answered, or was ended from outside. A backup is then not made, a restore leaves the target as it was.',
  },
});
