import { failure, isFailure } from '../../kernel/errors/failure.ts';
import { lsnOf } from '../../postgres/lsn.ts';
import { segmentName } from '../../postgres/wal/names.ts';
import type { Repository } from '../../repository/repository.ts';
import type { WalArchive, WalRun, WalStretch } from '../../repository/wal/model.ts';
import { joinRuns } from '../../repository/wal/stretches.ts';
import type { Findings } from '../verify-findings.ts';
import { damageIn } from './verify-damage.ts';
import { checkLength, leastBytes } from './verify-length.ts';
import type { WalCoverage } from './verify-coverage.ts';

/** What the checks of one archive share. */
export interface ArchiveCheck {
  readonly repository: Repository;
  readonly archive: WalArchive;
  readonly coverage: WalCoverage;
  readonly findings: Findings;
  readonly signal: AbortSignal;
  /** Objects that were named already. */
  readonly told: Set<string>;
}

const requestsAtOnce = 8;

/** Looks at all objects with WAL of a timeline as they are listed, and closer at those that backups cannot do without. */
export async function verifyListed(
  check: ArchiveCheck,
  timeline: number,
): Promise<{ readonly runs: readonly WalRun[]; readonly storedBytes: number }> {
  const needs = [...check.coverage.needs(timeline)];
  let storedBytes = 0;
  let batch: WalStretch[] = [];
  const flush = async (): Promise<void> => {
    await Promise.all(batch.map((stretch) => lookAt(check, stretch)));
    batch = [];
  };
  async function* listed(): AsyncGenerator<WalStretch, void, void> {
    for await (const stretch of check.archive.stretches(timeline, {}, { signal: check.signal })) {
      check.findings.objectsChecked += 1;
      storedBytes += stretch.storedBytes;
      if (stretch.storedBytes < leastBytes(stretch)) {
        tellObject(check, stretch, `it has ${stretch.storedBytes} bytes, too few for what it must hold`);
      } else if (needs.some(({ from, to }) => stretch.start < to && stretch.end > from)) {
        batch.push(stretch);
        if (batch.length === requestsAtOnce) await flush();
      }
      yield stretch;
    }
  }
  const runs = await joinRuns(listed());
  await flush();
  return { runs, storedBytes };
}

async function lookAt(check: ArchiveCheck, stretch: WalStretch): Promise<void> {
  const { repository, archive, signal } = check;
  try {
    await checkLength(repository, archive, stretch, signal);
  } catch (error) {
    signal.throwIfAborted();
    // A part may have been dropped since it was listed, being in a whole unit.
    if (isFailure(error, 'object_missing')) return;
    if (!isFailure(error, 'object_damaged')) throw error;
    tellObject(check, stretch, damageIn(error));
  }
}

/** Names a damaged object by its segment, once, with all backups whose recovery would read it. */
export function tellObject(
  { archive, coverage, findings, told }: ArchiveCheck,
  { timeline, start, end, objectName: name }: Pick<WalStretch, 'timeline' | 'start' | 'end' | 'objectName'>,
  reason: string,
): void {
  if (told.has(name)) return;
  told.add(name);
  const { source, segment_bytes: segmentBytes } = archive.info;
  const segment = segmentName(timeline, lsnOf(start), segmentBytes);
  const error = failure('wal_segment_damaged', { segment, source, name, reason });
  findings.add(name, error, coverage.usersOf(timeline, start, end));
}
