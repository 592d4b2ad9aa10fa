import { defineErrors } from './define.ts';

export const demoErrors = defineErrors({
  demo_no_server: {
    code: 'HF-1051',
    kind: 'refused',
    retryable: false,
    message: 'the demo needs a PostgreSQL server of its own, and there is none to start here: {reason}',
    hint: 'install one: apt install postgresql (Debian, Ubuntu), dnf install postgresql-server (Red Hat), brew install postgresql (macOS); or run the demo in a checkout of Holdfast after npm ci',
    explain:
      'A checkout of Holdfast brings servers along as development dependencies; elsewhere the demo starts one that is installed. It must not be newer than pg_dump. Nothing was changed.',
  },
  demo_server_failed: {
    code: 'HF-1052',
    kind: 'failed',
    retryable: true,
    message: 'the PostgreSQL server of the demo did not start: {reason}',
    hint: 'see whether there is room and memory: holdfast doctor; nothing was left behind',
    explain: 'initdb or the server itself ended with an error. The demo has removed what it made.',
  },
  demo_not_proven: {
    code: 'HF-1053',
    kind: 'integrity',
    retryable: false,
    message: '{count} of {total} comparisons of the demo did not hold: {names}',
    hint: 'run holdfast demo --keep --json to look at both databases, and report this',
    explain:
      'What came back is not what was there, or a planted fault was not found. This is a bug of Holdfast, never of your data: the demo works on data of its own.',
  },
});
