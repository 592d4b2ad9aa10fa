import { defineErrors } from './define.ts';

/** `holdfast wal stream` and `wal status`: HF-5460 and following. */
export const walStreamErrors = defineErrors({
  wal_stream_gap: {
    code: 'HF-5460',
    kind: 'partial',
    retryable: false,
    message:
      'the WAL of {source} from {from} to {to} of timeline {timeline} is lost: {server} does not have it any more',
    hint: 'take a full backup now: holdfast backup {source}; if that WAL is somewhere else: holdfast wal push FILE',
    explain:
      'The stream was away for longer than the server kept WAL, because its replication slot was dropped, or given up after max_slot_wal_keep_size. What comes now is stored; moments within the gap, and behind it from backups before it, cannot be recovered to. holdfast wal status shows gaps for as long as they are there.',
  },
  wal_slot_lost: {
    code: 'HF-5461',
    kind: 'failed',
    retryable: false,
    message: 'the replication slot {slot} at {server} was lost: {reason}',
    hint: 'if the server was restored from a backup or another one was promoted, that is why, for neither has the slots of before; else somebody dropped it, or max_slot_wal_keep_size is less than was waiting. What is stored now: holdfast wal status',
    explain:
      'The slot is what makes the server keep WAL until it is stored. It has been made anew; whether WAL was lost meanwhile is told apart, as a gap.',
  },
  wal_waiting: {
    code: 'HF-5462',
    kind: 'failed',
    retryable: true,
    message: '{server} keeps {waiting} of WAL that is not in the repository yet, more than {limit}',
    hint: 'look whether the repository takes it fast enough, and watch the space of pg_wal; the limit is wal_waiting_limit of source {source}',
    explain:
      'For as long as the stream is behind, the server keeps WAL for it: pg_wal grows, and a full disk stops the server. max_slot_wal_keep_size of the server bounds it, at the price of a gap.',
  },
  wal_remote_apply: {
    code: 'HF-5463',
    kind: 'refused',
    retryable: false,
    message:
      'synchronous_commit is remote_apply at {server}: commits that wait for this stream would wait for ever',
    hint: 'as a superuser there: ALTER SYSTEM SET synchronous_commit = on; SELECT pg_reload_conf();',
    explain:
      'A stream stores WAL and applies nothing, so it never tells that something was applied. With synchronous_commit = on a commit is done when its WAL is durable in the repository, which is what a stream can promise.',
  },
  wal_other_cluster: {
    code: 'HF-5464',
    kind: 'conflict',
    retryable: false,
    message: '{server} is another cluster now: {found}, and it was {expected}',
    hint: 'if that is meant, start the stream again: the WAL of the new cluster gets an archive of its own',
    explain:
      'The system identifier of the server has changed while it was streamed from: behind the same address there is another cluster, or the server was initialized anew. Nothing of it was stored among the WAL of the old one.',
  },
  wal_timeline_foreign: {
    code: 'HF-5465',
    kind: 'conflict',
    retryable: false,
    message:
      'timeline {timeline} of {source} is in the repository, and {server}, on timeline {current}, knows nothing of it',
    hint: 'make sure that this is the server that is in use: it may be an old primary after a failover',
    explain:
      'Another server of this cluster was promoted and its WAL is stored, while this one goes on without it. What it writes is stored on its own timeline. Two servers that both take writes have parted for good.',
  },
  wal_stream_behind: {
    code: 'HF-5466',
    kind: 'unreachable',
    retryable: true,
    message: '{server} is at {at}, before {lsn}, where the stored WAL of timeline {timeline} ends',
    hint: 'a standby that lags will catch up; a server that was set back to an earlier state needs a timeline of its own (promote it), and a full backup',
    explain:
      'More WAL is stored than this server has. The stream waits for it, and compares what comes with what is stored.',
  },
  wal_unrecoverable: {
    code: 'HF-5467',
    kind: 'partial',
    retryable: false,
    message: '{count} of {source} cannot be recovered, or not up to now: WAL is missing',
    hint: 'take a full backup now: holdfast backup {source}; if that WAL is somewhere else: holdfast wal push FILE',
    explain:
      'WAL is missing that a backup cannot do without, or that lies between the newest backup and now. What can be recovered, and the positions that are missing, are in what holdfast wal status shows. A gap between an older backup and a newer one is shown, too, and is no error: there is nothing to be done about it.',
  },
  wal_history_unknown: {
    code: 'HF-5468',
    kind: 'partial',
    retryable: false,
    message:
      'WAL of timeline {timeline} of {source} is stored, and no recovery finds the way to it: {file} is missing',
    hint: 'on the server that has it: holdfast wal push PGDATA/pg_wal/{file}; or take a full backup: holdfast backup {source}',
    explain:
      'The history of a timeline tells which one it comes from, and where it left that. A server that began to archive only after it was promoted never hands it over by itself. Until it is stored, the newest backup can be recovered up to the end of the timelines that are known, and nobody can tell whether WAL is missing in between.',
  },
  wal_not_stored: {
    code: 'HF-5469',
    kind: 'partial',
    retryable: false,
    message: 'the WAL that the server of {source} writes is not stored: {reason}',
    hint: '{next}',
    explain:
      'Backups can be recovered up to what is stored, and the server is beyond that, without anything under way that would change it. A server that was restored or promoted archives only when archive_mode and archive_command are set in its own settings, and is streamed from only when holdfast wal stream runs against it.',
  },
});
