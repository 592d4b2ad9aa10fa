import { defineErrors } from './define.ts';

export const statusErrors = defineErrors({
  status_critical: {
    code: 'HF-6401',
    kind: 'failed',
    retryable: false,
    message: '{count} wrong: {first}',
    hint: '{next}',
    explain:
      'What would be missed in a disaster: a configured source has no good backup, or none that is young enough; WAL is missing that recovery cannot do without; the last verification found damage. All that is amiss is listed. Nothing was changed.',
  },
  status_warning: {
    code: 'HF-6402',
    kind: 'partial',
    retryable: false,
    message: '{count} to look after: {first}',
    hint: '{next}',
    explain:
      'Every configured source has a good backup, and something needs care: a copy cannot be reached or lacks backups, a newer backup is incomplete, the list of one cannot be read. All that is amiss is listed. Nothing was changed.',
  },
  place_slow: {
    code: 'HF-6403',
    kind: 'unreachable',
    retryable: true,
    message: '{location} has not answered within {seconds} seconds',
    hint: 'look whether it can be reached: holdfast doctor --repo {location}; or wait longer with --timeout',
    explain:
      'To look at several places each has a limited time. That a copy has not answered does not change what is known of the others.',
  },
});
