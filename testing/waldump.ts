import { execFile } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { formatLsn, parseLsn, zeroLsn, type Lsn } from '../src/postgres/lsn.ts';
import { parseWalFileName, segmentStart } from '../src/postgres/wal/names.ts';
import type { RecoveryTarget } from '../src/operations/recovery/target-model.ts';

const run = promisify(execFile);

/** A record as `pg_waldump` tells of it. */
export interface DumpedRecord {
  readonly start: Lsn;
  readonly text: string;
  /** What recovery can stop at. */
  readonly event:
    | { readonly kind: 'commit' | 'abort'; readonly xid: number; readonly atUs: number }
    | { readonly kind: 'point'; readonly name: string }
    | undefined;
}

interface Dumping {
  readonly binDirectory: string;
  readonly user: { readonly uid: number; readonly gid: number } | undefined;
}

export function hasWaldump({ binDirectory }: Dumping): boolean {
  return existsSync(join(binDirectory, 'pg_waldump'));
}

/** All records of a timeline whose segments, of that size, lie in a directory. */
export async function dumpRecords(
  server: Dumping,
  directory: string,
  { segmentBytes, timeline = 1 }: { readonly segmentBytes: number; readonly timeline?: number },
): Promise<DumpedRecord[]> {
  const starts = readdirSync(directory).flatMap((name) => {
    const parsed = parseWalFileName(name);
    const isIts = parsed?.kind === 'segment' && parsed.timeline === timeline;
    return isIts ? [segmentStart(parsed, segmentBytes) ?? zeroLsn] : [];
  });
  const start = formatLsn(starts.reduce((a, b) => (a < b ? a : b)));
  const options = { maxBuffer: 1 << 30, cwd: '/', ...server.user, env: { TZ: 'UTC' } };
  const args = ['-p', directory, '-t', String(timeline), '-s', start];
  // The end of the WAL is an error to it; what it told before is complete.
  const { stdout } = await run(join(server.binDirectory, 'pg_waldump'), args, options).catch(
    (error: Error & { stdout: string }) => error,
  );
  const pattern = /^rmgr: (\S+) .*?tx: +(\d+), lsn: (\S+), prev \S+, desc: (.*)$/gm;
  return [...stdout.matchAll(pattern)].map(([, rmgr = '', xid = '', lsn = '', text = '']) => {
    const event = rmgr === 'Transaction' ? endIn(text, xid) : rmgr === 'XLOG' ? pointIn(text) : undefined;
    return { start: parseLsn(lsn) ?? zeroLsn, text, event };
  });
}

function endIn(text: string, own: string): DumpedRecord['event'] {
  const match = /^(COMMIT|ABORT)(?:_PREPARED (\d+):)? (\S+) (\d\d:\d\d:\d\d)\.(\d{6}) UTC/.exec(text.trim());
  if (match === null) return undefined;
  const [, what, prepared, date = '', time = '', micros = ''] = match;
  const atUs = Date.parse(`${date}T${time}Z`) * 1000 + Number(micros);
  return { kind: what === 'COMMIT' ? 'commit' : 'abort', xid: Number(prepared ?? own), atUs };
}

function pointIn(text: string): DumpedRecord['event'] {
  const [, name] = /^RESTORE_POINT (.*)$/.exec(text.trim()) ?? [];
  return name === undefined ? undefined : { kind: 'point', name };
}

/**
 * How many of these records PostgreSQL replays: all before this index. Undefined when it would never come to the target.
 * `records` are those from the start of the backup on, along the timeline that is followed.
 */
export function stopIndex(
  records: readonly DumpedRecord[],
  target: Exclude<RecoveryTarget, { readonly kind: 'immediate' }>,
): number | undefined {
  if (target.kind === 'end') return records.length;
  const index = records.findIndex((record) => meets(record, target));
  if (index === -1) return undefined;
  const stopsBehind = target.kind === 'name' || (target.kind !== 'time' && target.inclusive);
  return stopsBehind ? index + 1 : index;
}

function meets(
  { start, event }: DumpedRecord,
  target: Exclude<RecoveryTarget, { readonly kind: 'immediate' | 'end' }>,
): boolean {
  switch (target.kind) {
    case 'lsn':
      return start >= target.value;
    case 'name':
      return event?.kind === 'point' && event.name === target.value;
    case 'xid':
      return event !== undefined && event.kind !== 'point' && BigInt(event.xid) === target.value;
    case 'time':
      if (event === undefined || event.kind === 'point') return false;
      return target.inclusive ? event.atUs > target.value : event.atUs >= target.value;
  }
}

/** Transactions that these records commit. */
export function committedBy(records: readonly DumpedRecord[]): Set<number> {
  const found = new Set<number>();
  for (const { event } of records) if (event?.kind === 'commit') found.add(event.xid);
  return found;
}
