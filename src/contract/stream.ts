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

const hexRoot = /^[0-9a-f]{64}$/;

/** An entry out of parsed JSON; throws what the schema finds. Backups have millions, so good ones take a short way. */
export function parseEntry(value: unknown): Entry {
  return isEntry(value) ? value : entrySchema.parse(value);
}

function isEntry(value: unknown): value is Entry {
  if (typeof value !== 'object' || value === null || Object.keys(value).length !== 4) return false;
  const { path, kind, stream, meta } = value as Readonly<Record<string, unknown>>;
  return isText(path) && isText(kind) && isMap(meta) && (stream === null || isStream(stream));
}

function isText(value: unknown): boolean {
  return typeof value === 'string' && value !== '';
}

function isMap(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isStream(value: unknown): boolean {
  if (typeof value !== 'object' || value === null || Object.keys(value).length !== 3) return false;
  const { size_bytes: size, root, depth } = value as Readonly<Record<string, unknown>>;
  return (
    isCount(size) &&
    isCount(depth) &&
    depth <= 8 &&
    (root === null || (typeof root === 'string' && hexRoot.test(root)))
  );
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
