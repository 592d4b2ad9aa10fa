/** What decides how many threads a backup of several sources has. */
export interface Threads {
  /** Of all sources together. */
  readonly jobs: number;
  /** How many sources are read at once. */
  readonly lanes: number;
  /** For each source, what its own settings ask for. */
  readonly ownJobs: readonly (number | 'auto')[];
}

export interface SharedThreads {
  /** For each source: its own, or its share of all; threads that wait for other sources' would only take memory. */
  readonly jobs: readonly number[];
  /** Tasks at once, of all sources together: a source that asks for more jobs than there are has them. */
  readonly permits: number;
  /** A pack is closed when it has grown beyond this. Every thread fills one while it stores another. */
  readonly packBytes: number;
}

export function shareThreads({ jobs: all, lanes, ownJobs }: Threads): SharedThreads {
  const share = Math.min(all, Math.max(2, Math.floor(all / lanes)));
  const jobs = ownJobs.map((own) => (own === 'auto' ? share : own));
  const most = Math.max(1, ...jobs);
  const packMiB = lanes * most > 4 ? 8 : 16;
  return { jobs, permits: Math.max(all, most), packBytes: packMiB * 1024 * 1024 };
}
