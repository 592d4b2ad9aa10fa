import { failure, isFailure } from '../../kernel/errors/failure.ts';
import { formatLsn, lsnOf } from '../../postgres/lsn.ts';
import { segmentName } from '../../postgres/wal/names.ts';
import { walFilesPrefix, walFolder, walPosition } from '../../repository/layout.ts';
import type { WalStretch } from '../../repository/wal/model.ts';
import type { VerifyOptions } from '../verify-options.ts';
import { leastRecentlyRead, neverRead, type KeyRange } from '../verify-rotation.ts';
import { tellObject } from './verify-archive.ts';
import { damageIn } from './verify-damage.ts';
import { checkUnitTask, type CheckedUnit, type ObjectToCheck } from './verify-task.ts';
import { WalSeam, type WalBreak } from './verify-walk.ts';
import type { CheckedArchive } from './verify.ts';

/** Units in memory at once, packed. */
const unitsAtOnce = 2;
/** Of these versions of PostgreSQL the records can be followed. */
const [oldestMajor, newestMajor] = [14, 18];

interface Unit {
  readonly timeline: number;
  readonly start: bigint;
  readonly stretches: readonly WalStretch[];
}

interface ReadUnit extends CheckedUnit {
  readonly unit: Unit;
}

/** Reads all objects of archives, or a share of them, opens them, and follows the records in them. */
export async function verifyWalData(
  archives: readonly CheckedArchive[],
  options: VerifyOptions,
): Promise<void> {
  const [first] = archives;
  if (first === undefined) return;
  options.progress.phase('reading the WAL');
  const share = options.subset ?? 1;
  options.progress.total(Math.round(share * archives.reduce((sum, { storedBytes }) => sum + storedBytes, 0)));
  const chosen = await chooseUnits(archives, options);
  for (const check of archives) {
    await verifyFiles(check);
    for (const timeline of check.timelines) await verifyTimeline(check, timeline, chosen, options);
  }
  if (options.backups === undefined) first.findings.read.wal.push(...chosen.ranges);
}

/** Which units to read, by their keys; all where that is null. */
interface ChosenUnits {
  readonly keys: ReadonlySet<string> | null;
  readonly ranges: readonly KeyRange[];
}

async function chooseUnits(
  archives: readonly CheckedArchive[],
  { subset, readAt }: VerifyOptions,
): Promise<ChosenUnits> {
  if (subset === undefined) return { keys: null, ranges: [{ from: '', to: null }] };
  const units: { readonly key: string; readonly bytes: number }[] = [];
  for (const check of archives)
    for (const timeline of check.timelines)
      for await (const unit of unitsOf(check, timeline)) {
        const bytes = unit.stretches.reduce((sum, { storedBytes }) => sum + storedBytes, 0);
        units.push({ key: keyOf(check, unit), bytes });
      }
  units.sort((a, b) => (a.key < b.key ? -1 : 1));
  const facts = {
    keyOf: (unit: { key: string }) => unit.key,
    bytesOf: (unit: { bytes: number }) => unit.bytes,
  };
  const { items, ranges } = leastRecentlyRead(units, facts, subset, readAt?.wal ?? neverRead);
  return { keys: new Set(items.map(({ key }) => key)), ranges };
}

function keyOf({ archive }: CheckedArchive, { timeline, start }: Unit): string {
  return `${archive.id}/${walFolder(timeline)}/${walPosition(start)}`;
}

async function verifyTimeline(
  check: CheckedArchive,
  timeline: number,
  chosen: ChosenUnits,
  options: VerifyOptions,
): Promise<void> {
  const { segment_bytes: segmentBytes, system_identifier: systemIdentifier } = check.archive.info;
  const seam = new WalSeam({ timeline, segmentBytes, systemIdentifier });
  const units = chosenUnits(check, timeline, chosen);
  for await (const { unit, damaged, ranges } of inOrder(units, (unit) => readUnit(check, unit, options))) {
    for (const { name, reason } of damaged) {
      const stretch = unit.stretches.find(({ objectName }) => objectName === name);
      if (stretch !== undefined) tellObject(check, stretch, reason);
    }
    for (const range of ranges) {
      const last = seam.stop;
      const broken = seam.add(range);
      if (broken !== null) tellBreak(check, timeline, broken);
      else if (last !== null) tellEarlyEnd(check, timeline, last);
    }
  }
  if (seam.stop !== null) tellEarlyEnd(check, timeline, seam.stop);
}

/** Records may end where a timeline or the archive does, but not before a backup that has come farther. */
function tellEarlyEnd(check: CheckedArchive, timeline: number, stop: WalBreak): void {
  for (const { from, to } of check.coverage.needs(timeline)) {
    if (from > stop.at || to <= stop.at) continue;
    tellBreak(check, timeline, stop);
    return;
  }
}

function tellBreak(
  { archive, coverage, findings }: CheckedArchive,
  timeline: number,
  { at, reason }: WalBreak,
): void {
  const { source, segment_bytes: segmentBytes } = archive.info;
  const segment = segmentName(timeline, lsnOf(at), segmentBytes);
  const error = failure('wal_records_broken', {
    source,
    timeline,
    segment,
    lsn: formatLsn(lsnOf(at)),
    reason,
  });
  findings.add(segment, error, coverage.usersOf(timeline, at, at + 1n));
}

async function readUnit(check: CheckedArchive, unit: Unit, options: VerifyOptions): Promise<ReadUnit> {
  const { repository, archive, findings, signal } = check;
  const objects: ObjectToCheck[] = [];
  for (const { objectName: name, start, end, storedBytes } of unit.stretches) {
    try {
      const stored = await repository.storage.get(name, { signal });
      findings.bytesRead += stored.length;
      objects.push({ name, start, end, stored });
    } catch (error) {
      // A part may have been dropped since it was listed, being in a whole unit.
      if (!isFailure(error, 'object_missing')) throw error;
    }
    options.progress.advance(storedBytes);
  }
  const {
    segment_bytes: segmentBytes,
    system_identifier: systemIdentifier,
    postgres_major: major,
  } = archive.info;
  const input = {
    keys: repository.pipelineKeys,
    unitStart: unit.start,
    unitBytes: archive.unitBytes,
    expected: { timeline: unit.timeline, segmentBytes, systemIdentifier },
    walks: major >= oldestMajor && major <= newestMajor,
    objects,
  };
  const transfer = objects
    .map(({ stored }) => stored)
    .filter(fillsBuffer)
    .map(({ buffer }) => buffer);
  const checked = await repository.workers().run(checkUnitTask, input, { signal, transfer });
  return { unit, ...checked };
}

function fillsBuffer(bytes: Uint8Array): bytes is Uint8Array<ArrayBuffer> {
  return bytes.buffer instanceof ArrayBuffer && bytes.byteLength === bytes.buffer.byteLength;
}

/** Histories were read already; here the other small files are. */
async function verifyFiles({ archive, findings, signal, told }: CheckedArchive): Promise<void> {
  for await (const file of archive.files({ signal })) {
    findings.objectsChecked += 1;
    if (told.has(file)) continue;
    try {
      findings.bytesRead += (await archive.getFile(file, { signal }))?.length ?? 0;
    } catch (error) {
      signal.throwIfAborted();
      if (!isFailure(error, 'object_damaged')) throw error;
      const name = `${walFilesPrefix(archive.id)}${file.toLowerCase()}`;
      findings.add(name, failure('object_damaged', { name: file, reason: damageIn(error) }));
    }
  }
}

/** What is stored of a timeline, by units. */
async function* unitsOf(
  { archive, signal, from }: CheckedArchive,
  timeline: number,
): AsyncGenerator<Unit, void, void> {
  let stretches: WalStretch[] = [];
  let start = 0n;
  for await (const stretch of archive.stretches(timeline, { from }, { signal })) {
    const unit = stretch.start - (stretch.start % BigInt(archive.unitBytes));
    if (unit !== start && stretches.length > 0) {
      yield { timeline, start, stretches };
      stretches = [];
    }
    start = unit;
    stretches.push(stretch);
  }
  if (stretches.length > 0) yield { timeline, start, stretches };
}

async function* chosenUnits(
  check: CheckedArchive,
  timeline: number,
  { keys }: ChosenUnits,
): AsyncGenerator<Unit, void, void> {
  for await (const unit of unitsOf(check, timeline))
    if (keys === null || keys.has(keyOf(check, unit))) yield unit;
}

/** Works at a few at once, and hands out what comes of it in their order. */
async function* inOrder<T, R>(
  items: AsyncIterable<T>,
  work: (item: T) => Promise<R>,
): AsyncGenerator<R, void, void> {
  const under: Promise<R>[] = [];
  try {
    for await (const item of items) {
      under.push(work(item));
      // It is awaited later; until then its failure waits, too.
      under.at(-1)?.catch(() => {});
      if (under.length < unitsAtOnce) continue;
      const [first] = under.splice(0, 1);
      if (first !== undefined) yield await first;
    }
    for (const one of under.splice(0)) yield await one;
  } finally {
    await Promise.allSettled(under);
  }
}
