import fc from 'fast-check';
import type { WalArchiveFacts } from '../../src/policy/wal-retention.ts';
import type { TimelineStep, WalBackup } from '../../src/policy/wal-window.ts';
import { dayMs } from './backups.ts';

/** A moment that the cluster was in: what somebody may want to recover to. */
export interface Moment {
  readonly archive: string;
  readonly timeline: number;
  readonly lsn: bigint;
  readonly atMs: number;
}

/** What became of one cluster: every moment of it, every backup, and the archives with their histories. */
export interface ClusterLife {
  readonly moments: readonly Moment[];
  readonly backups: readonly WalBackup[];
  readonly archives: readonly WalArchiveFacts[];
  readonly endMs: number;
}

/** `w`rite, `b`ack up, back up and `l`ack something, `p`romote, `r`estore an earlier moment, make a new `c`luster. */
export type Deed = readonly ['w' | 'b' | 'l' | 'p' | 'r' | 'c', number];

export const deeds: fc.Arbitrary<readonly Deed[]> = fc.array(
  fc.tuple(fc.constantFrom(...'wwwwwbbbblprc') as fc.Arbitrary<Deed[0]>, fc.nat({ max: 99 })),
  { minLength: 3, maxLength: 40 },
);

/** Lives it: one step of WAL for each hour or so, and one server at a time. */
export function clusterLife(plan: readonly Deed[]): ClusterLife {
  const moments: Moment[] = [];
  const backups: WalBackup[] = [];
  const archives: { id: string; createdAtMs: number; paths: Map<number, readonly TimelineStep[]> }[] = [];
  let atMs = Date.UTC(2026, 0);
  let lsn = 1n;
  let timeline = 1;
  const archive = () => archives.at(-1) ?? begin();
  function begin() {
    const made = {
      id: `archive${archives.length}`,
      createdAtMs: atMs,
      paths: new Map<number, readonly TimelineStep[]>([[1, [{ timeline: 1, from: 0n, to: null }]]]),
    };
    archives.push(made);
    [lsn, timeline] = [1n, 1];
    return made;
  }
  const write = (): void => {
    atMs += dayMs / 8;
    lsn += 1n;
    moments.push({ archive: archive().id, timeline, lsn, atMs });
  };
  const fork = (from: number, at: bigint): void => {
    const { paths } = archive();
    const next = Math.max(...paths.keys()) + 1;
    const before = (paths.get(from) ?? []).filter((step) => step.from < at || step.timeline === from);
    const steps = before.map((step, index) => (index === before.length - 1 ? { ...step, to: at } : step));
    paths.set(next, [...steps, { timeline: next, from: at, to: null }]);
    [lsn, timeline] = [at, next];
    moments.push({ archive: archive().id, timeline, lsn, atMs });
  };
  for (const [deed, number] of plan) {
    if (deed === 'w') for (let count = number % 12; count >= 0; count -= 1) write();
    else if (deed === 'c') {
      atMs += dayMs / 8;
      begin();
    } else if (deed === 'p') fork(timeline, lsn);
    else if (deed === 'r') restoreEarlier(number);
    else backUp(deed === 'l');
  }
  return { moments, backups, archives, endMs: atMs };

  function backUp(incomplete: boolean): void {
    const start = lsn;
    write();
    write();
    backups.push({ archive: archive().id, timeline, start, stop: lsn, consistentAtMs: atMs, incomplete });
  }

  /** To where some backup of this cluster leads: a moment that was lived on its own timeline. */
  function restoreEarlier(number: number): void {
    const possible = moments.filter(
      (moment) =>
        moment.archive === archive().id &&
        backups.some(
          (backup) =>
            backup.archive === moment.archive &&
            backup.timeline === moment.timeline &&
            backup.stop <= moment.lsn,
        ),
    );
    const chosen = possible[number % Math.max(1, possible.length)];
    if (chosen !== undefined) fork(chosen.timeline, chosen.lsn);
  }
}

/** The way back from a moment to a backup, one position after the other; undefined where it does not lead there. */
export function wayBack(
  life: ClusterLife,
  moment: Moment,
  backup: WalBackup,
): readonly (readonly [number, bigint])[] | undefined {
  if (backup.archive !== moment.archive || backup.consistentAtMs > moment.atMs) return undefined;
  const steps = life.archives.find(({ id }) => id === moment.archive)?.paths.get(moment.timeline);
  const passed: (readonly [number, bigint])[] = [];
  for (let lsn = moment.lsn - 1n; lsn >= backup.start; lsn -= 1n) {
    const step = steps?.findLast(({ from }) => from <= lsn);
    if (step === undefined) return undefined;
    passed.push([step.timeline, lsn]);
    // Where the backup ends it must be on its own timeline still.
    if (lsn < backup.stop && step.timeline !== backup.timeline) return undefined;
  }
  return backup.stop <= moment.lsn ? passed : undefined;
}
