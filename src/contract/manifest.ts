import { z } from 'zod';
import { streamRefSchema } from './stream.ts';

const instant = z.iso.datetime({ precision: 3 });
const count = z.number().int().nonnegative();
const hexId = z.string().regex(/^[0-9a-f]{32}$/);

export const gitInfoSchema = z.strictObject({
  branch: z.string().nullable(),
  commit: z.string(),
  dirty: z.boolean(),
});

export const statsSchema = z.strictObject({
  /** Bytes read from the source, before anything was done to them. */
  bytes_read: count,
  /** Bytes of everything in it, whether read or taken over from the backup before; absent in the oldest backups. */
  bytes: count.optional(),
  /** Bytes of packs this backup added to the repository. */
  bytes_added: count,
  /** Chunks cut, and how many of them were new. */
  chunks: count,
  chunks_new: count,
  /** Plain bytes of the new chunks, before compression. */
  bytes_new: count,
});

/** The manifest of one backup: sealed JSON, written last. A backup exists exactly when this does. */
export const manifestSchema = z.strictObject({
  schema: z.literal(1),
  id: hexId,
  /** One more than the highest among the backups that were there when this one was committed. */
  sequence: z.number().int().positive(),
  source: z.strictObject({ name: z.string().min(1), kind: z.string().min(1) }),
  started_at: instant,
  finished_at: instant,
  tags: z.record(z.string(), z.string()),
  origin: z.strictObject({
    host: z.string(),
    user: z.string(),
    holdfast_version: z.string(),
    git: gitInfoSchema.nullable(),
  }),
  stats: statsSchema,
  warnings: z.array(z.string()),
  /** What should be in the backup and is not, for people; absent when everything is. */
  incomplete: z.string().min(1).optional(),
  /** Belongs to the source kind. */
  metadata: z.record(z.string(), z.unknown()),
  /** Newline-delimited JSON of `Entry`. */
  entries: z.strictObject({ count, stream: streamRefSchema }),
  /**
   * The newest manifests seen at commit, by id and SHA-256 of their sealed bytes: the history's chain. The hash is null where
   * who committed could not read them.
   */
  previous: z.array(
    z.strictObject({
      id: hexId,
      sha256: z
        .string()
        .regex(/^[0-9a-f]{64}$/)
        .nullable(),
    }),
  ),
});

export type GitInfo = z.infer<typeof gitInfoSchema>;
export type BackupStats = z.infer<typeof statsSchema>;
export type Manifest = z.infer<typeof manifestSchema>;
