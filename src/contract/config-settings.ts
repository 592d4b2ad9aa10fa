import { z } from 'zod';
import { configSchema } from './config.ts';
import { durationSchema, settingRegistry, sizeSchema, type SettingMeta } from './config-setting.ts';

/** Keys from the top. Inside a source the second one is the source's name. */
export type SettingPath = readonly string[];

/** What a value of a setting can be written as in text (an environment variable, a flag, an interpolated value). */
export interface TextForms {
  readonly number: boolean;
  readonly boolean: boolean;
  readonly list: boolean;
  readonly map: boolean;
}

/** One setting of the schema, found by walking it. */
export interface Setting {
  /** `<name>` stands for the name of a source. */
  readonly path: SettingPath;
  /** Of which type a source must be to have it; undefined for what belongs to no source. */
  readonly sourceType: string | undefined;
  readonly meta: SettingMeta;
  readonly env: string;
  readonly forms: TextForms;
  /** What the setting is when nobody gives it, as it would be written; undefined when there is none. */
  readonly defaultValue: unknown;
  /** The values it may have, when there are few. */
  readonly choices: readonly string[] | undefined;
  readonly required: boolean;
  /** What a number means, once it is read: milliseconds or bytes. */
  readonly unit: 'ms' | 'bytes' | null;
}

export const anySourceName = '<name>';

/** Sections whose keys are names of the user's choice. */
export const namedSections: readonly string[] = ['sources', 'repositories'];

/** Every setting, in the order of the schema. Those of a source have `<name>` in their path. */
export const allSettings: readonly Setting[] = [...walk(configSchema, [])];

/**
 * The setting at a path that names a real source; undefined for sections and for what does not exist. Settings of one
 * name may differ between types of sources; without `sourceType` it is that of the first type that has it.
 */
export function settingAt(path: SettingPath, sourceType?: string): Setting | undefined {
  const general = generalPath(path);
  return allSettings.find(
    (candidate) =>
      samePath(candidate.path, general) &&
      (sourceType === undefined || candidate.sourceType === undefined || candidate.sourceType === sourceType),
  );
}

/** The keys that may stand under a path, in a source of that type: for naming the nearest one. */
export function keysUnder(path: SettingPath, sourceType?: string): readonly string[] {
  const general = generalPath(path);
  const keys = allSettings
    .filter(
      ({ path: candidate, sourceType: type }) =>
        candidate.length > general.length &&
        samePath(candidate.slice(0, general.length), general) &&
        (sourceType === undefined || type === undefined || type === sourceType),
    )
    .map(({ path: candidate }) => candidate[general.length] ?? '');
  return [...new Set(keys)];
}

/** The name of the variable for a setting of a source: `HOLDFAST_SOURCES_SHOP_URL` for `shop` and `url`. */
export function sourceVariable(name: string, key: string): string {
  return `HOLDFAST_SOURCES_${inVariable(name)}_${key.toUpperCase()}`;
}

/** The name of the variable for a setting; of one below a name of the user's choice for that name. */
export function variableOfSetting({ path, env }: Setting, name = ''): string {
  return path[1] === anySourceName ? env.replace(anySourceName.toUpperCase(), inVariable(name)) : env;
}

/** A source's name as it stands in a variable: capitals, and `_` for `-`. */
export function inVariable(name: string): string {
  return name.toUpperCase().replaceAll('-', '_');
}

function generalPath(path: SettingPath): SettingPath {
  const [section = ''] = path;
  return namedSections.includes(section) && path.length > 1
    ? [section, anySourceName, ...path.slice(2)]
    : path;
}

function samePath(a: SettingPath, b: SettingPath): boolean {
  return a.length === b.length && a.every((key, index) => key === b[index]);
}

function* walk(schema: unknown, path: SettingPath, sourceType?: string): Generator<Setting> {
  const meta = settingRegistry.get(schema as z.ZodType);
  if (meta !== undefined) {
    yield describe(schema as z.ZodType, path, meta, sourceType);
    return;
  }
  const inner = peel(schema);
  if (inner instanceof z.ZodObject) {
    const type = inner.shape['type'] instanceof z.ZodLiteral ? String(inner.shape['type'].value) : sourceType;
    for (const [key, value] of Object.entries(inner.shape)) yield* walk(value, [...path, key], type);
  } else if (inner instanceof z.ZodRecord) {
    yield* walk(inner.valueType, [...path, anySourceName]);
  } else if (inner instanceof z.ZodDiscriminatedUnion) {
    for (const option of inner.options) yield* walk(option, path);
  }
}

function describe(
  schema: z.ZodType,
  path: SettingPath,
  meta: SettingMeta,
  sourceType: string | undefined,
): Setting {
  const defaultValue =
    schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault ? schema.def.defaultValue : undefined;
  const bases = [...baseTypes(schema)];
  const some = (test: (base: unknown) => boolean): boolean => bases.some(test);
  return {
    path,
    sourceType,
    meta,
    env: meta.env ?? `HOLDFAST_${path.join('_').toUpperCase()}`,
    forms: {
      number: some((base) => base instanceof z.ZodNumber),
      boolean: some((base) => base instanceof z.ZodBoolean),
      list: some((base) => base instanceof z.ZodArray),
      map: some((base) => base instanceof z.ZodRecord),
    },
    defaultValue,
    choices: choicesOf(bases),
    required: !schema.safeParse(undefined).success,
    unit: unitOf(schema),
  };
}

function unitOf(schema: unknown): Setting['unit'] {
  if (schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault || schema instanceof z.ZodOptional)
    return unitOf(schema.unwrap());
  return schema === durationSchema ? 'ms' : schema === sizeSchema ? 'bytes' : null;
}

function choicesOf(bases: readonly unknown[]): readonly string[] | undefined {
  const [only] = bases;
  if (bases.length !== 1) return undefined;
  if (only instanceof z.ZodEnum) return only.options.map(String);
  if (only instanceof z.ZodBoolean) return ['true', 'false'];
  return undefined;
}

/** The types a value is written as: through defaults, optionals and transforms to what stands first. */
function* baseTypes(schema: unknown): Generator {
  const inner = peel(schema);
  if (inner instanceof z.ZodUnion) for (const option of inner.options) yield* baseTypes(option);
  else yield inner;
}

function peel(schema: unknown): unknown {
  if (schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault || schema instanceof z.ZodOptional) {
    return peel(schema.unwrap());
  }
  if (schema instanceof z.ZodPipe) return peel(schema.in);
  return schema;
}
