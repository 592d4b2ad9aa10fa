import { failure } from '../../kernel/errors/failure.ts';
import { formatLsn, lsnOf, parseLsn } from '../../postgres/lsn.ts';
import { walTimelinePrefix } from '../../repository/layout.ts';
import type { Findings } from '../verify-findings.ts';
import type { VerifyOptions, WalEnd } from '../verify-options.ts';
import type { CheckedArchive } from './verify.ts';

/**
 * Compares how far the WAL of each archive goes with what an earlier verification has seen: at the end of it nothing else
 * tells that there was more. Only of the highest timeline, for others may be dropped from behind.
 */
export async function verifyWalEnds(
  archives: readonly CheckedArchive[],
  findings: Findings,
  { remembered, signal }: VerifyOptions,
): Promise<void> {
  const ends: WalEnd[] = [];
  for (const { archive, timelines } of archives) {
    const timeline = timelines.at(-1);
    if (timeline === undefined) continue;
    const last = (await archive.runs(timeline, {}, { signal })).at(-1);
    if (last === undefined) continue;
    const before = remembered?.walEnds.find((one) => one.archive === archive.id && one.timeline === timeline);
    const beforeLsn = before === undefined ? undefined : parseLsn(before.end);
    if (beforeLsn === undefined || beforeLsn <= last.end) {
      ends.push({ archive: archive.id, timeline, end: formatLsn(lsnOf(last.end)) });
      continue;
    }
    const [remembers, end] = [formatLsn(beforeLsn), formatLsn(lsnOf(last.end))];
    ends.push({ archive: archive.id, timeline, end: remembers });
    const facts = { timeline, archive: archive.id, remembered: remembers, end };
    findings.add(walTimelinePrefix(archive.id, timeline), failure('wal_vanished', facts));
  }
  const checked = new Set(archives.map(({ archive }) => archive.id));
  const others = remembered?.walEnds.filter(({ archive }) => !checked.has(archive)) ?? [];
  findings.walEnds = [...others, ...ends];
}
