import { defineErrors } from './define.ts';

/** After most interruptions. */
export const runAgain = 'run the same command again; what was stored is found again and not stored twice';

export const coreErrors = defineErrors({
  internal: {
    code: 'HF-1000',
    kind: 'failed',
    retryable: false,
    message: 'something Holdfast did not foresee: {reason}',
    hint: 'run again with --log-level debug and report what it prints; nothing was reported as done',
    explain: 'A bug. No backup is visible unless its summary was printed.',
  },
  usage: {
    code: 'HF-1001',
    kind: 'usage',
    retryable: false,
    message: '{reason}',
    hint: '{suggestion}',
    explain: 'The command line does not parse, or contradicts itself. Nothing was done.',
  },
  needs_answer: {
    code: 'HF-1002',
    kind: 'usage',
    retryable: false,
    message: '{question} needs an answer, and there is no terminal to ask on',
    hint: 'pass {flag}',
    explain: 'Without a terminal nothing ever waits for an answer. Nothing was done.',
  },
  interrupted: {
    code: 'HF-1003',
    kind: 'interrupted',
    retryable: true,
    message: 'interrupted: {what}',
    hint: '{next}',
    explain:
      'Ctrl-C or a termination signal. What was half done is not visible to anyone; but for the restore of a whole PostgreSQL cluster, which stays as it is, cannot be started, and goes on with --delta: the hint says so then.',
  },
  declined: {
    code: 'HF-1004',
    kind: 'aborted',
    retryable: false,
    message: 'you answered no: {what}',
    hint: 'run it again when ready, or pass --yes to answer in advance',
    explain: 'The question was answered with no. Nothing was changed.',
  },
  partly_done: {
    code: 'HF-1005',
    kind: 'partial',
    retryable: true,
    message: 'partly done: {failed} of {total} failed or are incomplete: {names}',
    hint: 'see the error of each above; the others are complete and safe',
    explain: 'Some of what was asked is done and durable, the rest is named.',
  },
  backup_incomplete: {
    code: 'HF-1006',
    kind: 'partial',
    retryable: true,
    message: 'the backup of {source} is incomplete: {what}',
    hint: 'holdfast info {id} tells what is missing and why; what is in it is safe and can be restored',
    explain:
      'Something of the source could not be read: a file without permission, a damaged database. The rest is stored, and the backup is marked as incomplete, here and wherever it is shown.',
  },
  node_too_old: {
    code: 'HF-1007',
    kind: 'refused',
    retryable: false,
    message: 'Holdfast needs Node.js 24.7 or newer, and this is {version}',
    hint: 'install it from https://nodejs.org and run the same program with it',
    explain:
      'The package was loaded by a version of Node.js that lacks what it is built on. Nothing was done.',
  },
  dry_run_failed: {
    code: 'HF-1008',
    kind: 'failed',
    retryable: true,
    message: '{failed} of {total} sources could not be backed up whole: {names}',
    hint: 'mend each as told above, then look again: holdfast backup --dry-run',
    explain:
      'backup --dry-run only looks, and found sources whose backup would fail or lack something. Each is told with its own error. Nothing was stored.',
  },
});
