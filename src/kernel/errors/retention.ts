import { defineErrors } from './define.ts';

export const retentionErrors = defineErrors({
  retention_empty: {
    code: 'HF-6001',
    kind: 'refused',
    retryable: false,
    message: 'no rule of {where} keeps anything',
    hint: 'say what to keep: holdfast clean --keep-last 10 --keep-daily 7, or keep_last and keep_daily below retention in holdfast.yaml',
    explain:
      'A policy without rules, or with nothing but zeros, would be the order to forget everything, which nobody means. Nothing was changed.',
  },
  forget_pinned: {
    code: 'HF-6002',
    kind: 'refused',
    retryable: false,
    message: 'backup {id} of {source} is pinned',
    hint: 'to forget it all the same: holdfast unpin {id}',
    explain: 'Whoever pinned a backup wants it to stay, whatever any policy says. Nothing was changed.',
  },
  forget_last_good: {
    code: 'HF-6003',
    kind: 'refused',
    retryable: false,
    message: 'backup {id} is the last good backup of {source}',
    hint: 'make another one first (holdfast backup {source}), or, to be left with none: holdfast forget {id} --force',
    explain:
      'Without it nothing whole would be left of the source: the others that there are, if any, are incomplete or imported. Nothing was changed.',
  },
  forget_window: {
    code: 'HF-6004',
    kind: 'refused',
    retryable: false,
    message: 'backup {id} of {source} is where recovery within the last {window} begins',
    hint: 'make keep_wal shorter, wait, or give these moments up: holdfast forget {id} --force',
    explain:
      'retention.keep_wal says how far back recovery to any moment is to stay possible, and for a part of that time this backup is the only one to begin with. Nothing was changed.',
  },
  forget_unknown: {
    code: 'HF-6005',
    kind: 'not_found',
    retryable: false,
    message: 'no forgotten backup matches {reference}',
    hint: 'holdfast list shows the backups that are there; what was forgotten and has been pruned since cannot come back{known}',
    explain:
      'A backup that was forgotten lies in the trash of the repository until a prune has removed what only it needed.',
  },
  forget_gone: {
    code: 'HF-6006',
    kind: 'refused',
    retryable: false,
    message: 'backup {id} cannot come back: what it needs is no longer all there, for instance {what}',
    hint: 'if another repository has a copy of it, restore it from there; else look for one that still stands with: holdfast list',
    explain:
      'Prune has given back space that only forgotten backups needed. A backup that could not be restored is not put back. Nothing was changed.',
  },
  forget_changed: {
    code: 'HF-6007',
    kind: 'conflict',
    retryable: true,
    message: 'nothing was forgotten: backup {id} went while it was being done, and the plan counted on it',
    hint: 'run the same command again: it plans anew',
    explain:
      'Another program forgot backups at the same time. What the plan of this one kept in their place is gone, so it was not carried out.',
  },
});
