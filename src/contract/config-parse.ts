import { isAbsolute, join, resolve } from 'node:path';
import { configSchema, type Config } from './config.ts';
import { overlayCode, type CodeSettings } from './config-code.ts';
import { readEnvironment, type EnvironmentLayer, type Variables } from './config-environment.ts';
import { impliedSource } from './config-implied.ts';
import {
  emptyLayer,
  isTree,
  type Origins,
  overlay,
  place,
  readTexts,
  type Layer,
  type Origin,
} from './config-layer.ts';
import { configFailure } from './config-problems.ts';
import { settleRepositories } from './config-repositories.ts';
import { keysUnder, settingAt, type SettingPath } from './config-settings.ts';
import { readYaml, type ConfigText } from './config-yaml.ts';

export interface ConfigInput {
  readonly file:
    | (ConfigText & { /** Relative paths in the file start here. */ readonly directory: string })
    | null;
  readonly variables: Variables;
  /** Settings given on the command line, over everything else. */
  readonly flags?: readonly FlagSetting[];
  /** Settings of the program that calls, over those of flags. */
  readonly code?: CodeSettings | undefined;
  /** Relative paths from anywhere else start here. */
  readonly cwd: string;
  readonly home: string;
}

export interface FlagSetting {
  readonly path: SettingPath;
  readonly value: string | number | boolean;
  readonly flag: string;
}

export interface ParsedConfig {
  readonly config: Config;
  readonly origins: Origins;
  readonly unknownVariables: EnvironmentLayer['unknown'];
}

/**
 * Flags over environment over file over defaults. Without any source, `DATABASE_URL` or the `PG*` variables are one.
 * Throws the coded errors of `kernel/errors/config.ts`; nothing is read but what is handed in.
 */
export function parseConfig(input: ConfigInput): ParsedConfig {
  const used = new Set<string>();
  const lookup = (variable: string): string | undefined => {
    used.add(variable);
    return input.variables.get(variable)?.value;
  };
  const file = input.file === null ? emptyLayer() : readYaml(input.file, lookup);
  const environment = readEnvironment(input.variables, (section) => namesIn(file, section), used);
  let layer = overlay(overlay(file, environment.layer), flagLayer(input.flags ?? []));
  if (input.code !== undefined) layer = overlayCode(layer, input.code);
  nameTypes(layer);
  if (sourceNames(layer).length === 0) {
    const implied = impliedSource(input.variables);
    if (implied !== undefined) layer = overlay(layer, implied);
  }
  dropEmptySections(layer);
  settleRepositories(layer);
  const values = readTexts(layer.values);
  const parsed = configSchema.safeParse(values);
  if (!parsed.success) throw configFailure(parsed.error.issues, values, layer.origins);
  const config = resolvePaths(parsed.data, layer.origins, input);
  return { config, origins: layer.origins, unknownVariables: environment.unknown };
}

function flagLayer(flags: readonly FlagSetting[]): Layer {
  const layer = emptyLayer();
  for (const { path, value, flag } of flags) place(layer, path, value, { layer: 'flag', flag });
  return layer;
}

function sourceNames(layer: Layer): string[] {
  return namesIn(layer, 'sources');
}

function namesIn(layer: Layer, section: string): string[] {
  const named = layer.values[section];
  return isTree(named) ? Object.keys(named) : [];
}

/** A source that only the environment knows needs no `…_TYPE` unless it has paths: those have two types. */
function nameTypes(layer: Layer): void {
  for (const name of sourceNames(layer)) {
    const path = ['sources', name];
    if (layer.origins.exact(path)?.layer !== 'environment') continue;
    const source = (layer.values['sources'] as Record<string, unknown>)[name] as Record<string, unknown>;
    if (source['type'] === undefined && source['paths'] === undefined) source['type'] = 'postgres';
  }
}

/** `log:` with nothing below it is how the template stands before anyone edits it. */
function dropEmptySections(layer: Layer): void {
  for (const [key, value] of Object.entries(layer.values)) {
    if (value === null && settingAt([key]) === undefined && keysUnder([key]).length > 0)
      delete layer.values[key];
  }
}

function resolvePaths(config: Config, origins: Origins, input: ConfigInput): Config {
  return visit(config, []) as Config;

  function visit(value: unknown, path: readonly string[]): unknown {
    const isPath = settingAt(path, typeOfSource(path))?.meta.path === true;
    if (typeof value === 'string' && isPath) return resolveOne(value, origins.of(path));
    if (Array.isArray(value) && isPath)
      return value.map((item: string) => resolveOne(item, origins.of(path)));
    if (typeof value !== 'object' || value === null || Object.getPrototypeOf(value) !== Object.prototype)
      return value;
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, visit(item, [...path, key])]));
  }

  function typeOfSource([section, name = '']: readonly string[]): string | undefined {
    return section === 'sources' ? config.sources[name]?.type : undefined;
  }

  function resolveOne(text: string, origin: Origin): string {
    if (/^[a-z][a-z0-9+.-]*:\/\//i.test(text) || isAbsolute(text)) return text;
    if (text === '~' || text.startsWith('~/')) return join(input.home, text.slice(1));
    const fromFile = origin.layer === 'file' || (origin.layer === 'default' && input.file !== null);
    return resolve(fromFile && input.file !== null ? input.file.directory : input.cwd, text);
  }
}
