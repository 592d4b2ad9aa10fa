import { z } from 'zod';

/** Microseconds since 1970, as PostgreSQL stamps commits. */
const microseconds = z.number().int();
/** `16/B374D848` */
const lsnText = z.string().regex(/^[0-9A-F]{1,8}\/[0-9A-F]{1,8}$/);

/** A name given by `pg_create_restore_point()`. */
export const restorePointSchema = z.strictObject({
  name: z.string(),
  /** Where its record ends. */
  lsn: lsnText,
  at_us: microseconds,
});

/** What was found out about a stretch of WAL when it was stored. Hints for searching, never relied upon alone. */
export const walFactsSchema = z.strictObject({
  /** Records of commits and aborts that end in it; their beginning may lie before it when it followed other WAL. */
  transactions: z.number().int().min(0),
  /** The earliest and latest of their times; null when there is none. Clocks may have run backwards in between. */
  first_at_us: microseconds.nullable(),
  last_at_us: microseconds.nullable(),
  restore_points: z.array(restorePointSchema),
  /** False: its records were not looked at, being of a version of PostgreSQL not known here, or do not parse. */
  scanned: z.boolean(),
});

export type WalFacts = z.infer<typeof walFactsSchema>;
export type RestorePoint = z.infer<typeof restorePointSchema>;

export const unscannedFacts: WalFacts = {
  transactions: 0,
  first_at_us: null,
  last_at_us: null,
  restore_points: [],
  scanned: false,
};

/** What an archive of WAL is of. */
export const walArchiveSchema = z.strictObject({
  /** Name of the source in the settings. */
  source: z.string().min(1),
  /** Decimal digits, as `pg_control_system()` gives it. */
  system_identifier: z.string().regex(/^\d{1,20}$/),
  segment_bytes: z.number().int().min(1_048_576).max(1_073_741_824),
  /** Of the server, when the archive began: `15`. */
  postgres_major: z.number().int(),
  created_at: z.iso.datetime({ precision: 3 }),
});

export type WalArchiveInfo = z.infer<typeof walArchiveSchema>;
