import { z } from 'zod';
import { parseSpan } from './calendar-span.ts';
import { setting, textSchema } from './config-setting.ts';

/** `7d`, `6mo`, `1y6mo`: kept as it was written, for that is how it is shown. */
export const spanSchema = z
  .string({ error: 'must be text with its unit, such as 7d or 6mo' })
  .superRefine((text, context) => {
    const parsed = parseSpan(text);
    if (typeof parsed === 'string') context.addIssue({ code: 'custom', message: parsed });
  });

const tooMany = 1_000_000;

function count() {
  const whole = { error: 'must be a whole number from 0' };
  return z
    .number({ error: 'must be a number' })
    .int(whole)
    .min(0, whole)
    .max(tooMany, { error: `must be at most ${tooMany}` })
    .optional();
}

const tag = textSchema.regex(/^[^=]+(?:=.*)?$/s, { error: 'must be a tag as key or key=value' });

/** Rules that say which backups of a source are kept. Each only ever keeps; what none keeps may be forgotten. */
const rules = {
  keep_last: setting(count(), {
    description: 'Keep the newest so many backups',
    example: '10',
  }),
  keep_hourly: setting(count(), {
    description: 'Keep the newest backup of each of the newest so many hours that have one',
    example: '24',
  }),
  keep_daily: setting(count(), {
    description: 'Keep the newest backup of each of the newest so many days that have one',
    example: '7',
  }),
  keep_weekly: setting(count(), {
    description:
      'Keep the newest backup of each of the newest so many weeks (ISO: from Monday) that have one',
    example: '4',
  }),
  keep_monthly: setting(count(), {
    description: 'Keep the newest backup of each of the newest so many months that have one',
    example: '12',
  }),
  keep_yearly: setting(count(), {
    description: 'Keep the newest backup of each of the newest so many years that have one',
    example: '5',
  }),
  keep_within: setting(spanSchema.optional(), {
    description:
      'Keep everything younger than this, counted back from the newest backup of the source: 12h, 7d, 4w, 6mo, 1y',
    example: '7d',
  }),
  keep_tags: setting(z.array(tag, { error: 'must be a list of tags' }).optional(), {
    description: 'Keep every backup with one of these tags: key, or key=value',
    example: '["release"]',
  }),
} as const;

const keepWal = setting(spanSchema.optional(), {
  description:
    'How far back recovery to any moment stays possible: of PostgreSQL clusters the WAL of that time is kept, and the backup to begin with. It is no rule for backups by itself',
  defaultText: 'from the oldest backup that is kept',
  example: '14d',
});

/** The retention of everything that has none of its own. */
export const retentionSchema = z.strictObject({ ...rules, keep_wal: keepWal });

/** The retention of one source, in the place of the general one as a whole. */
export const sourceRetentionSchema = z.strictObject(rules);

/** That of a source with WAL. */
export const clusterRetentionSchema = retentionSchema;

export type RetentionConfig = z.output<typeof retentionSchema>;

/** The names of the rules, in the order in which they are told. */
export const retentionKeys: readonly string[] = Object.keys(retentionSchema.shape);

/** A name of the IANA database, such as Europe/Berlin, or UTC. */
export const timeZoneSchema = z.string({ error: 'must be text' }).refine(isTimeZone, {
  error: 'must be the name of a time zone, such as Europe/Berlin or UTC',
});

function isTimeZone(name: string): boolean {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: name }).resolvedOptions().timeZone !== '';
  } catch {
    return false;
  }
}
