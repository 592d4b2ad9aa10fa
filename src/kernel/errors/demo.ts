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
    hint: 'read the reason; the demo needs a temporary directory (TMPDIR) with 1 GB of room; nothing was left behind',
    explain: 'initdb or the server itself ended with an error. The demo has removed what it made.',
  },
  demo_not_proven: {
    code: 'HF-1053',
    kind: 'integrity',
    retryable: false,
    message: '{count} of {total} comparisons of the demo did not hold: {names}',
    hint: 'report this, unless --tamper asked for it; holdfast demo --keep leaves everything to look at',
    explain:
      'What came back is not what was there: a bug of Holdfast, unless --tamper changed rows and a file to show that the proof notices. None of your data are touched: the demo works on data of its own.',
  },
  demo_no_tools: {
    code: 'HF-1054',
    kind: 'refused',
    retryable: false,
    message: 'the demo needs the client tools of PostgreSQL: {reason}',
    hint: 'install them and run the demo again: sudo apt-get install postgresql-client (Debian, Ubuntu), sudo dnf install postgresql (Red Hat), brew install libpq (macOS)',
    explain:
      'pg_dump, pg_restore and psql were found neither on PATH nor where packages put them. As root on Debian or Ubuntu the demo installs them by itself. Nothing else was done.',
  },
});
