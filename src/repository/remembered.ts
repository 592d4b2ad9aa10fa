import { z } from 'zod';

const historyPointSchema = z.strictObject({
  id: z.string().regex(/^[0-9a-f]{32}$/),
  sequence: z.number().int().positive(),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
});

/** One backup as a machine has seen it: its id, and the SHA-256 of its sealed manifest. */
export type HistoryPoint = z.infer<typeof historyPointSchema>;

/** A file that remembers the newest backups of a repository in one place. */
export const historyFileSchema = z.strictObject({
  schema: z.literal(1),
  repository: z.string().regex(/^[0-9a-f]{32}$/),
  location: z.string(),
  points: z.array(historyPointSchema),
});

/** So many are remembered: a chain of manifests leads from each to those before it. */
export const mostPoints = 64;

/** What a machine remembers of the history of one repository, outside of it. */
export interface HistoryMemory {
  readonly points: readonly HistoryPoint[];
  /** The hash of a backup's manifest, where it was seen or written here. */
  sha256Of(id: string): string | undefined;
  /** Notes that these were seen. */
  saw(points: readonly HistoryPoint[]): Promise<void>;
}

/** The newest of all these, each once; what was seen last holds. */
export function newestPoints(
  before: readonly HistoryPoint[],
  seen: readonly HistoryPoint[],
): readonly HistoryPoint[] {
  const byId = new Map([...before, ...seen].map((point) => [point.id, point]));
  return [...byId.values()].toSorted((a, b) => a.sequence - b.sequence).slice(-mostPoints);
}
