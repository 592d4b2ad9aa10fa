import { defineErrors } from './define.ts';

export const gcErrors = defineErrors({
  prune_busy: {
    code: 'HF-6101',
    kind: 'conflict',
    retryable: false,
    message: 'another prune of {location} is under way: {holder}',
    hint: 'wait for it; if it was killed on another machine, its turn is free again {minutes} minutes after it last did something',
    explain:
      'Backups may run while a prune does, any number of them; prunes go one at a time. A prune that is alive says so ' +
      'every few minutes. Nothing was changed.',
  },
  prune_turn_lost: {
    code: 'HF-6102',
    kind: 'conflict',
    retryable: false,
    message: 'this prune of {location} was stopped: another one took its turn over',
    hint: 'run holdfast prune again; what was removed was not needed by any backup',
    explain:
      'A prune that was paused for a long time (a suspended machine, a lost network) finds that another one has begun ' +
      'since. It ends before it removes anything more.',
  },
  prune_backups_missing: {
    code: 'HF-6103',
    kind: 'integrity',
    retryable: false,
    message:
      'nothing is removed: {count} backup(s) that were there are not listed now, for instance {example}',
    hint: 'run holdfast verify; if somebody removed them on purpose, say so with holdfast forget {example}',
    explain:
      'A listing that has become shorter without a reason may be a fault of the storage, and what those backups need ' +
      'must not be removed for it. Backups that are forgotten leave a record. Nothing was changed.',
  },
  prune_incomplete: {
    code: 'HF-6104',
    kind: 'integrity',
    retryable: false,
    message: 'nothing is removed: {count} chunk(s) that backups need are in no pack, for instance {example}',
    hint: 'run holdfast verify to see which backups are affected, then mend them from a copy or forget them',
    explain:
      'What is missing may only be missing in a listing. Before anything is removed, everything that the backups need ' +
      'must be there. Nothing was changed.',
  },
  prune_unreadable: {
    code: 'HF-6105',
    kind: 'integrity',
    retryable: false,
    message: 'nothing is removed: what {what} needs cannot be read: {reason}',
    hint: 'run holdfast verify to see what is damaged, then mend it from a copy, or forget the backup by its full id',
    explain:
      'Of a backup whose manifest, list or maps cannot be read nobody knows what it needs, so nothing can be called ' +
      'unneeded. Nothing was changed.',
  },
  pack_doomed: {
    code: 'HF-6106',
    kind: 'conflict',
    retryable: false,
    message: '{count} pack(s) that this backup relies on are about to be removed, for instance {name}',
    hint: 'run the same command again: what is about to be removed is stored anew then',
    explain:
      'The backup was stopped or suspended for so long that a prune has meanwhile come close to removing what it found ' +
      'in the repository at its beginning. Nothing of it is visible.',
  },
  prune_clock: {
    code: 'HF-6107',
    kind: 'refused',
    retryable: false,
    message: 'nothing is removed: the clocks do not agree: {reason}',
    hint: 'set the clock of this machine and that of the storage right, then run holdfast prune again',
    explain:
      'What is to be removed waits for a time of grace, measured by the clock of the storage and, as a check, by that of ' +
      'this machine. When one of them was set, neither can be trusted. Nothing was changed.',
  },
});
