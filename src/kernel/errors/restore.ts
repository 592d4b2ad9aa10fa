import { defineErrors } from './define.ts';

/** Restores into directories and files, whatever the kind of source. */
export const restoreErrors = defineErrors({
  restore_target_exists: {
    code: 'HF-4001',
    kind: 'refused',
    retryable: false,
    message: '{target} is there already{detail}',
    hint: 'restore to another place, or pass --force to put the restored one in its place (the old one is kept beside it)',
    explain:
      'A restore never writes over what is there. With --force it restores beside it, and only when everything is there and checked takes its place; the old one stays under another name until you remove it.',
  },
  restore_target_unusable: {
    code: 'HF-4002',
    kind: 'refused',
    retryable: false,
    message: 'cannot restore to {target}: {reason}',
    hint: '{mend}',
    explain: 'Found out before anything was written. The target is as it was.',
  },
  restore_selects_nothing: {
    code: 'HF-4003',
    kind: 'not_found',
    retryable: false,
    message: 'the backup has nothing that {only} means',
    hint: 'holdfast info ID --entries lists what is in it{suggestion}',
    explain: 'Every --only must mean something that is in the backup. Nothing was written.',
  },
  restore_write_failed: {
    code: 'HF-4004',
    kind: 'failed',
    retryable: true,
    message: 'cannot write {path}: {reason}',
    hint: '{mend}',
    explain: 'The restore was given up, and what it had written was removed. The target is as it was.',
  },
  restore_differs: {
    code: 'HF-4005',
    kind: 'integrity',
    retryable: false,
    message: '{path} was written and reads back differently: {reason}',
    hint: 'check the disk and its file system; the backup itself was checked and is good. Restore to another disk',
    explain:
      'What a restore writes is read back and compared. The restore was given up, and what it had written was removed.',
  },
  restore_not_undone: {
    code: 'HF-4006',
    kind: 'failed',
    retryable: false,
    message: 'the restore to {target} was given up, and not all of it was undone: {left}',
    hint: 'look at what is named; what was there before can be moved back from where it is kept',
    explain:
      'A restore that fails or is stopped while it puts things in their places takes them back, except what was changed meanwhile, by a program that uses the target say: that stays where it is. So does what the system would not let it move back, and all of it when everything was in its place and only making that durable failed. What was there before is kept under the name that is told. Everything else is as it was.',
  },
});
