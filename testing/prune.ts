import type { Clock } from '../src/kernel/clock.ts';
import { silentLogger } from '../src/kernel/log.ts';
import type { PruneOptions } from '../src/operations/prune/options.ts';
import { prune } from '../src/operations/prune/prune.ts';
import type { PruneReport } from '../src/operations/prune/report.ts';
import type { Repository } from '../src/repository/repository.ts';
import { silentProgress } from './repository.ts';

/** A prune with 72 hours of grace, by a process that nobody takes for dead. */
export async function pruneWith(
  repository: Repository,
  clock: Clock,
  options: Partial<PruneOptions> = {},
): Promise<PruneReport> {
  return await prune(repository, {
    signal: new AbortController().signal,
    log: silentLogger,
    jobs: 1,
    progress: silentProgress,
    clock,
    host: 'testhost',
    pid: 1,
    isAlive: () => true,
    graceMs: 72 * 3_600_000,
    maxUnused: 0.05,
    dryRun: false,
    ...options,
  });
}
