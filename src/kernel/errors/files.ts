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
  files_paths_missing: {
    code: 'HF-5202',
    kind: 'not_found',
    retryable: true,
    message: 'nothing to back up: {what}; {path}: {reason}',
    hint: 'check the paths of this source, and whether what they are on is mounted; see each with: holdfast doctor',
    explain:
      'A backup of files has nothing to read: every path it was given is missing, or may not be read. No backup was made: one without files would look as if all had been deleted. When only some of several paths are missing, the rest is backed up, the backup is marked as incomplete, and the command ends with 3.',
  },
  files_paths_overlap: {
    code: 'HF-5203',
    kind: 'usage',
    retryable: false,
    message: '{inner} lies in {outer}: its files would be in the backup twice',
    hint: 'take one of the two out of `paths`',
    explain:
      'The paths of a source of files must lie beside each other, symbolic links resolved. With `one_file_system: true` a path may lie in another when it is on a file system of its own, for then it is not entered from there.',
  },
  files_xattrs_unavailable: {
    code: 'HF-5204',
    kind: 'refused',
    retryable: false,
    message: 'extended attributes cannot be read on this machine, and `xattrs: on` asks for them',
    hint: 'install perl (apt install perl-base), or set `xattrs: auto` to do without where it must be',
    explain:
      'Node has no calls for extended attributes, so a small program in Perl makes them, on Linux for x86_64 and aarch64. With `xattrs: on` no backup is made without them; with `auto` they are left out, and the backup says so.',
  },
  files_scan_failed: {
    code: 'HF-5205',
    kind: 'failed',
    retryable: true,
    message: 'looking for files failed: {reason}',
    hint: 'look whether the temporary directory (TMPDIR) has room, then run the same command again',
    explain:
      'Files that cannot be read do not stop a backup; this did. The names of very large directories are sorted in a temporary file, which a full disk prevents. No backup was made.',
  },
});
