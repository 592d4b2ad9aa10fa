import type { Manifest } from '../contract/manifest.ts';
import { failure } from '../kernel/errors/failure.ts';
import type { Findings } from './verify-findings.ts';
import type { VerifyOptions } from './verify-options.ts';

/** So many of each source are looked at, should the newest ones be damaged. */
const newestKept = 50;

interface Aged {
  readonly id: string;
  readonly startedAtMs: number;
}

/** How old the newest good backup of each source is. */
export class BackupAges {
  readonly #newest = new Map<string, Aged[]>();

  /** One that is incomplete is no good one. */
  add({ id, source, started_at, incomplete }: Manifest): void {
    if (incomplete !== undefined) return;
    const known = this.#newest.get(source.name) ?? [];
    const next = [...known, { id, startedAtMs: Date.parse(started_at) }];
    this.#newest.set(
      source.name,
      next.toSorted((a, b) => b.startedAtMs - a.startedAtMs).slice(0, newestKept),
    );
  }

  /** To be called last: backups that something is wrong with do not count. */
  tell(findings: Findings, { expected = [], nowMs }: VerifyOptions): void {
    if (nowMs === undefined) return;
    const affected = findings.affected();
    for (const { source, maxAgeMs } of expected) {
      const newest = this.#newest.get(source)?.find(({ id }) => !affected.has(id));
      const object = `source ${source}`;
      if (newest === undefined) findings.add(object, failure('backup_none', { source }));
      else if (nowMs - newest.startedAtMs > maxAgeMs) {
        const age = spanOf(nowMs - newest.startedAtMs);
        findings.add(object, failure('backup_too_old', { source, age, expected: spanOf(maxAgeMs) }));
      }
    }
  }
}

/** `26 hours`, `3 days`, `40 minutes`. */
function spanOf(ms: number): string {
  const units: readonly [string, number][] = [
    ['day', 86_400_000],
    ['hour', 3_600_000],
    ['minute', 60_000],
    ['second', 1000],
  ];
  const [name, unit] = units.find(([, size]) => ms >= 2 * size) ?? ['second', 1000];
  const count = Math.floor(ms / unit);
  return `${count} ${name}${count === 1 ? '' : 's'}`;
}
