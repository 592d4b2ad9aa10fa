import { defineErrors } from './define.ts';

export const retentionErrors = defineErrors({
  retention_empty: {
    code: 'HF-6001',
    kind: 'refused',
    retryable: false,
    message: 'the retention of {where} has no rule that keeps anything',
    hint: 'say what to keep: holdfast clean --keep-last 10 --keep-daily 7, or keep_last and keep_daily below retention in holdfast.yaml',
    explain:
      'A policy without rules, or with nothing but zeros, would be the order to forget everything, which nobody means. Nothing was changed.',
  },
});
