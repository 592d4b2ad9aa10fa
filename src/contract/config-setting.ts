import { z } from 'zod';
import { Secret } from '../kernel/secret.ts';

/** What is known about one setting beside its type. Everything people see about settings comes from here. */
export interface SettingMeta {
  /** One or two sentences for people, without the final stop. */
  readonly description: string;
  /** The environment variable, where it is not `HOLDFAST_` and the path in capitals. */
  readonly env?: string;
  /** `value`: never shown. `url`: shown without its password. */
  readonly secret?: 'value' | 'url';
  /** A file or directory: relative ones start at the configuration file's directory, or at the current one. */
  readonly path?: true;
  /** What the template shows where there is no default. */
  readonly example?: string;
  /** The default in words, where it is worked out when the program runs. */
  readonly defaultText?: string;
}

/** Facts about every setting, by its schema. */
export const settingRegistry = z.registry<SettingMeta>();

/** Marks a schema as a setting. Defaults and `.optional()` must be inside. */
export function setting<S extends z.ZodType>(schema: S, meta: SettingMeta): S {
  const described = schema.meta({
    description: meta.description,
    ...(meta.example === undefined ? {} : { examples: [meta.example] }),
  });
  settingRegistry.add(described, meta);
  return described;
}

const sizeUnits: Readonly<Record<string, number>> = {
  '': 1,
  b: 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  tb: 1e12,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
  tib: 2 ** 40,
};
const sizePattern = /^(\d+(?:\.\d+)?) ?(|[kmgt]i?b|b)$/i;

const notASize = { error: 'must be a size such as 10MB or 512KiB' };

/** `10MB`, `1.5 GiB` or a number of bytes; parsed to bytes. */
export const sizeSchema = z
  .union([z.number().int().nonnegative(), z.string().regex(sizePattern, notASize)], notASize)
  .transform((value) => {
    if (typeof value === 'number') return value;
    const [, digits, unit] = sizePattern.exec(value) ?? [];
    return Math.round(Number(digits) * (sizeUnits[(unit ?? '').toLowerCase()] ?? 1));
  });

const durationUnits: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};
const durationPattern = /^(\d+) ?(ms|s|m|h|d)$/;

/** `500ms`, `10s`, `5m`, `1h`, `7d`; parsed to milliseconds. */
export const durationSchema = z
  .string({ error: 'must be a time with its unit, such as 10s or 5m' })
  .regex(durationPattern, { error: 'must be a time with its unit, such as 10s or 5m' })
  .transform((value) => {
    const [, digits, unit] = durationPattern.exec(value) ?? [];
    return Number(digits) * (durationUnits[unit ?? 'ms'] ?? 1);
  });

export const secretSchema = z
  .string({ error: 'must be text (quote it)' })
  .min(1, { error: 'must not be empty' })
  .transform((value) => new Secret(value));

export const textSchema = z.string({ error: 'must be text' }).min(1, { error: 'must not be empty' });

/** How many things may run at once: a number, or `auto`. */
export function jobsSchema() {
  return z
    .union([z.literal('auto'), z.number().int().min(1).max(64)], {
      error: 'must be auto or a whole number from 1 to 64',
    })
    .default('auto');
}

/** Labels, which every kind of source can have. */
export function tagsSetting() {
  return setting(z.record(textSchema, z.string({ error: 'must be text (quote it)' })).default({}), {
    description: 'Labels every backup of this source carries',
    example: '{ environment: production }',
  });
}

/** A list of files, directories or patterns, of which there must be at least one. */
export function pathsSchema() {
  return z
    .array(textSchema, { error: 'must be a list of paths' })
    .min(1, { error: 'must name at least one path' });
}
