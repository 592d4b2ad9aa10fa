import { z } from 'zod';

/**
 * A stored stream of bytes: the root of its map. A stream of one chunk is that chunk itself (`depth` 0);
 * a longer one has `depth` levels of map nodes above its chunks; an empty one has no root.
 */
export const streamRefSchema = z.strictObject({
  size_bytes: z.number().int().nonnegative(),
  root: z
    .string()
    .regex(/^[0-9a-f]{64}$/)
    .nullable(),
  depth: z.number().int().min(0).max(8),
});

export type StreamRef = z.infer<typeof streamRefSchema>;

/** One thing inside a backup. `meta` belongs to the source kind, which parses it with a schema of its own. */
export const entrySchema = z.strictObject({
  /** Unique in the backup; `/`-separated, for people and for `--only`. */
  path: z.string().min(1),
  /** For instance `pg.toc`, `pg.table`, `pg.globals`. */
  kind: z.string().min(1),
  stream: streamRefSchema.nullable(),
  meta: z.record(z.string(), z.unknown()),
});

export type Entry = z.infer<typeof entrySchema>;
