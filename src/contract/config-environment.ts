import { failure } from '../kernel/errors/failure.ts';
import { nearest } from '../kernel/nearest.ts';
import { emptyLayer, place, TextValue, type Layer, type Origin } from './config-layer.ts';
import {
  allSettings,
  anySourceName,
  inVariable,
  namedSections,
  type SettingPath,
} from './config-settings.ts';

export interface Variable {
  readonly value: string;
  /** The `.env` file it is from; undefined for the real environment. */
  readonly file: string | undefined;
}

export type Variables = ReadonlyMap<string, Variable>;

/** Variables that are no settings but ours. */
const otherVariables: readonly string[] = ['HOLDFAST_CONFIG', 'HOLDFAST_NODE', 'HOLDFAST_NEW_PASSPHRASE'];

export interface EnvironmentLayer {
  readonly layer: Layer;
  /** Variables that begin with `HOLDFAST_` and stand for no setting, with the nearest one that does. */
  readonly unknown: readonly { readonly variable: string; readonly nearest: string | undefined }[];
}

const plainSettings = new Map(
  allSettings.filter(({ path }) => path[1] !== anySourceName).map((setting) => [setting.env, setting]),
);

/** What can be set below each name of a section. */
const keysOf = new Map(
  namedSections.map((section) => [
    section,
    allSettings.filter(({ path }) => path[0] === section).map(({ path }) => path.slice(2)),
  ]),
);
const prefixOf = (section: string): string => `HOLDFAST_${section.toUpperCase()}_`;

/**
 * The settings that the environment gives. `namesIn` gives the names that the file has in a section, so that
 * `HOLDFAST_SOURCES_MY_SHOP_URL` finds `my-shop`; other names are new sources or repositories, in lower case. Throws
 * `config_unknown_key` for a misspelt `HOLDFAST_SOURCES_…`, which would otherwise leave a source out silently.
 */
export function readEnvironment(
  variables: Variables,
  namesIn: (section: string) => readonly string[],
  used: ReadonlySet<string>,
): EnvironmentLayer {
  const layer = emptyLayer();
  const unknown: { variable: string; nearest: string | undefined }[] = [];
  for (const [variable, { value, file }] of variables) {
    if (!variable.startsWith('HOLDFAST_') || otherVariables.includes(variable)) continue;
    const origin: Origin = { layer: 'environment', variable, file };
    const setting = plainSettings.get(variable);
    if (setting !== undefined) {
      place(layer, setting.path, new TextValue(value), origin);
      continue;
    }
    const section = namedSections.find((candidate) => variable.startsWith(prefixOf(candidate)));
    if (section !== undefined) {
      const names = namesIn(section);
      const [name, key] = nameIn(section, variable, names);
      place(layer, [section, name, ...key], new TextValue(value), origin);
      if (!names.includes(name)) layer.origins.set([section, name], origin);
    } else if (!used.has(variable)) {
      unknown.push({ variable, nearest: nearest(variable, plainSettings.keys()) });
    }
  }
  return { layer, unknown };
}

function nameIn(section: string, variable: string, names: readonly string[]): readonly [string, SettingPath] {
  const prefix = prefixOf(section);
  const keys = keysOf.get(section) ?? [];
  const rest = variable.slice(prefix.length);
  const [key] = keys
    .filter((candidate) => rest.endsWith(`_${variableOf(candidate)}`))
    .toSorted((a, b) => variableOf(b).length - variableOf(a).length);
  const name = key === undefined ? '' : rest.slice(0, -variableOf(key).length - 1);
  if (key === undefined || name === '') {
    const wrong = rest.slice(rest.indexOf('_') + 1);
    const right = nearest(wrong, keys.map(variableOf));
    const suggestion =
      right === undefined
        ? `they are called ${prefix}NAME_URL and so on; see docs/configuration.md`
        : `did you mean ${prefix}${rest.slice(0, rest.indexOf('_') + 1)}${right}?`;
    throw failure('config_unknown_key', { place: 'environment', key: variable, suggestion });
  }
  const meant = names.filter((candidate) => inVariable(candidate) === name.toUpperCase());
  if (meant.length > 1) {
    throw failure('config_contradiction', { place: variable, first: meant[0] ?? '', second: meant[1] ?? '' });
  }
  return [meant[0] ?? name.toLowerCase(), key];
}

/** Of a setting within a source: `RETENTION_KEEP_DAILY`. */
function variableOf(key: SettingPath): string {
  return key.join('_').toUpperCase();
}
