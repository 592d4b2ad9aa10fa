import { defineErrors } from './define.ts';

export const repairErrors = defineErrors({
  repair_incomplete: {
    code: 'HF-6301',
    kind: 'integrity',
    retryable: false,
    message: '{problems} in {location} could not be mended; {affected}',
    hint: '{mend}',
    explain:
      'What copies had, and what was left here, was put back; see what was done. What stays broken is named with every ' +
      'backup and entry that it hurts. All other backups restore. What was damaged and made way is in quarantine/.',
  },
  backup_too_old: {
    code: 'HF-6302',
    kind: 'integrity',
    retryable: false,
    message: 'the newest good backup of {source} is {age} old; at most {expected} are allowed',
    hint: 'find out why none was made: holdfast backup {source}',
    explain:
      'The setting verify.max_age, or max_age of the source, says how old the newest backup may be. One that is ' +
      'incomplete or damaged does not count.',
  },
  backup_none: {
    code: 'HF-6303',
    kind: 'integrity',
    retryable: false,
    message: 'there is no good backup of {source}',
    hint: 'holdfast backup {source}',
    explain:
      'The settings say how old the newest backup of this source may be, and there is none that is whole.',
  },
  backup_vanished: {
    code: 'HF-6304',
    kind: 'integrity',
    retryable: false,
    message: 'backup {missing} was there when the repository was last verified, and is gone',
    hint: 'a copy may have it: holdfast verify --repair; if you removed it yourself: holdfast forget {missing}',
    explain:
      'Each verification remembers, in reports/, which backups are the newest: of these no later manifest tells that ' +
      'they have been there. Backups that are forgotten leave a record.',
  },
  wal_vanished: {
    code: 'HF-6305',
    kind: 'integrity',
    retryable: false,
    message:
      'the WAL of timeline {timeline} in archive {archive} went to {remembered} when it was last verified, and ends at {end} now',
    hint: 'a copy may have it: holdfast verify --repair; else take a backup now',
    explain: 'Each verification remembers, in reports/, how far the WAL goes that is stored.',
  },
  place_changed: {
    code: 'HF-6306',
    kind: 'integrity',
    retryable: false,
    message: '{concern}',
    hint: '{mend}; or, if it shall be so: holdfast verify --accept-place',
    explain:
      'The place of the repository is set up less safely than it was: versioning was switched off, say, or public access ' +
      'allowed. What was so from the beginning is only noted.',
  },
  status_unwritable: {
    code: 'HF-6307',
    kind: 'failed',
    retryable: false,
    message: 'the file {path} for monitors could not be written: {reason}',
    hint: 'make status_directory a directory that this user may write to',
    explain:
      'The command itself has succeeded. Monitors that look at this file will take it for older than it is.',
  },
  repair_elsewhere: {
    code: 'HF-6308',
    kind: 'refused',
    retryable: false,
    message: '{location} cannot be told to be a copy of {origin}: nothing in it is of that repository',
    hint: 'to make a copy there: holdfast sync',
    explain: 'A repository whose holdfast.json is gone is known by its other objects. Nothing was changed.',
  },
  repair_planned: {
    code: 'HF-6309',
    kind: 'integrity',
    retryable: false,
    message: '{problems} in {location}: {outlook}',
    hint: 'holdfast verify --repair',
    explain:
      'A dry run of a repair changes nothing, so what is damaged is so still, and the exit code says no more than that. What ' +
      'would be done, and what would be left, is shown.',
  },
  damage_unlisted: {
    code: 'HF-6310',
    kind: 'integrity',
    retryable: false,
    message: 'an earlier verify found more damaged objects than its report could name',
    hint: 'holdfast verify --read-data, or, to mend them: holdfast verify --read-data --repair',
    explain:
      'Reports carry the names of damaged packs and WAL on, so that every later verify reads them again. When there are too ' +
      'many, only reading everything tells which they are.',
  },
});
