import { defineErrors } from './define.ts';

export const syncErrors = defineErrors({
  copy_foreign: {
    code: 'HF-6201',
    kind: 'refused',
    retryable: false,
    message: '{location} is no copy of {origin}: {reason}',
    hint: 'name an empty place, or one that holdfast sync made of the same repository',
    explain:
      'A copy is the same repository in another place: the same id, the same keys, the same objects. Into another ' +
      'repository nothing is copied. Nothing was changed.',
  },
  copy_incomplete: {
    code: 'HF-6202',
    kind: 'integrity',
    retryable: false,
    message: 'backup {id} was not copied to {location}: {reason}',
    hint: 'run holdfast verify on the repository it comes from, then holdfast sync again',
    explain:
      'Before a backup appears in a copy, everything it needs must be there. Other backups are not affected.',
  },
  copies_behind: {
    code: 'HF-6203',
    kind: 'partial',
    retryable: true,
    message: '{count} not up to date: {names}',
    hint: 'run holdfast sync when the place can be reached; it goes on where this one ended',
    explain:
      'What could be stored is stored and durable. The copies named lack some of it; each with its reason above. The next ' +
      'backup or holdfast sync brings them up to date.',
  },
  object_differs: {
    code: 'HF-6204',
    kind: 'integrity',
    retryable: false,
    message: '{name} in {location} has {found} bytes instead of {expected}',
    hint: 'run holdfast verify --repo {location} --repair --from the repository it is a copy of',
    explain: 'Objects never change, so one of the two places has a damaged object. Neither was changed.',
  },
  copy_same_place: {
    code: 'HF-6206',
    kind: 'refused',
    retryable: false,
    message: '{location} is no copy: it is the same place as {origin}, under another name',
    hint: 'give the copy a place of its own, on another disk or with another service',
    explain:
      'What is written under the one name appears under the other: a link, another way to spell a path, or another address of ' +
      'the same bucket. A copy is to outlive the loss of the first place. Nothing was changed.',
  },
  copy_gone: {
    code: 'HF-6207',
    kind: 'refused',
    retryable: false,
    message: 'the copy {name} was filled before, and {location} is empty now',
    hint: 'mount or put back what belongs there; if it is lost, fill it anew: holdfast sync --to {name} --anew',
    explain:
      'This machine remembers that it has filled this copy. A place that is empty since is another one, most likely: a disk ' +
      'that is not mounted, a directory that was renamed. Nothing was written there.',
  },
  copy_no_parent: {
    code: 'HF-6208',
    kind: 'refused',
    retryable: false,
    message: 'a copy in {location} is not begun: there is no {parent}',
    hint: 'mount what belongs there, or make the directory: mkdir -p {parent}',
    explain:
      'A copy makes its own directory, and not those above it: they are missing when a disk is not mounted, or when the path ' +
      'is misspelt. Nothing was written there.',
  },
  repository_unknown: {
    code: 'HF-6205',
    kind: 'usage',
    retryable: false,
    message: 'no repository is called {name}',
    hint: 'the configuration has: {known}',
    explain: 'The name is none of those below repositories: in the configuration, and no location either.',
  },
});
