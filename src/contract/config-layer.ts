import { settingAt, type SettingPath } from './config-settings.ts';

/** Where a value comes from. */
export type Origin =
  | { readonly layer: 'default' }
  | { readonly layer: 'file'; readonly file: string; readonly line: number; readonly column: number }
  | { readonly layer: 'environment'; readonly variable: string; readonly file: string | undefined }
  | { readonly layer: 'flag'; readonly flag: string }
  | { readonly layer: 'code' };

/** A value as text whose type is still to be read from the setting: of a variable, a flag, an interpolated value. */
export class TextValue {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

export type TreeValue = string | number | boolean | null | bigint | TextValue | readonly TreeValue[] | Tree;
export interface Tree {
  [key: string]: TreeValue;
}

/** Values from one place, and where each of them (and each section) stands. */
export interface Layer {
  readonly values: Tree;
  readonly origins: Origins;
}

/** Origins by path. A path without one of its own has that of the nearest section above it. */
export class Origins {
  readonly #byPath = new Map<string, Origin>();

  set(path: readonly PropertyKey[], origin: Origin): void {
    this.#byPath.set(key(path), origin);
  }

  exact(path: readonly PropertyKey[]): Origin | undefined {
    return this.#byPath.get(key(path));
  }

  of(path: readonly PropertyKey[]): Origin {
    for (let length = path.length; length >= 0; length -= 1) {
      const origin = this.#byPath.get(key(path.slice(0, length)));
      if (origin !== undefined) return origin;
    }
    return { layer: 'default' };
  }

  copyFrom(other: Origins): void {
    for (const [path, origin] of other.#byPath) this.#byPath.set(path, origin);
  }
}

/** For people: `holdfast.yaml:3:5`, `HOLDFAST_JOBS`, `HOLDFAST_JOBS in .env`, `--jobs`, `options`, `default`. */
export function describeOrigin(origin: Origin): string {
  switch (origin.layer) {
    case 'file':
      return `${origin.file}:${origin.line}:${origin.column}`;
    case 'environment':
      return origin.file === undefined ? origin.variable : `${origin.variable} in ${origin.file}`;
    case 'flag':
      return origin.flag;
    case 'code':
      return 'options';
    case 'default':
      return 'default';
  }
}

export function isTree(value: TreeValue | undefined): value is Tree {
  return (
    typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof TextValue)
  );
}

/** Puts a value at a path of a layer, making the sections above it. */
export function place(layer: Layer, path: SettingPath, value: TreeValue, origin: Origin): void {
  let at: Tree = layer.values;
  for (const step of path.slice(0, -1)) {
    const next = Object.hasOwn(at, step) ? at[step] : undefined;
    if (isTree(next)) at = next;
    else at = at[step] = emptyTree();
  }
  at[path.at(-1) ?? ''] = value;
  layer.origins.set(path, origin);
}

/** Without a prototype, so that a key such as `__proto__` is a key like any other (and then refused). */
export function emptyTree(): Tree {
  return Object.create(null) as Tree;
}

export function emptyLayer(): Layer {
  return { values: emptyTree(), origins: new Origins() };
}

/**
 * Lays `higher` over `lower`. A setting of the higher one also displaces those that exclude it: a passphrase from the
 * environment wins over a passphrase_file of the configuration file. Within one layer both stay, to be refused.
 */
export function overlay(lower: Layer, higher: Layer): Layer {
  const merged: Layer = { values: mergeTrees(lower.values, higher.values), origins: new Origins() };
  merged.origins.copyFrom(lower.origins);
  merged.origins.copyFrom(higher.origins);
  return merged;
}

/** Each is a way of its own to be let in. */
const azureSecrets = ['account_key', 'sas_token', 'connection_string'].flatMap((key) => [key, `${key}_file`]);
const azureWhole = ['connection_string', 'connection_string_file'];

const displaces: Readonly<Record<string, readonly string[]>> = {
  passphrase: ['passphrase_file', 'passphrase_command', 'agent_file'],
  passphrase_file: ['passphrase', 'passphrase_command', 'agent_file'],
  passphrase_command: ['passphrase', 'passphrase_file', 'agent_file'],
  agent_file: ['passphrase', 'passphrase_file', 'passphrase_command'],
  password: ['password_file'],
  password_file: ['password'],
  url: ['url_file', 'host', 'port', 'user', 'database'],
  url_file: ['url', 'host', 'port', 'user', 'database'],
  secret_access_key: ['secret_access_key_file'],
  secret_access_key_file: ['secret_access_key'],
  access_key_id: ['profile'],
  profile: ['access_key_id', 'secret_access_key', 'secret_access_key_file', 'session_token'],
  database: ['databases'],
  databases: ['database'],
  ...Object.fromEntries(azureSecrets.map((key) => [key, azureSecrets.filter((other) => other !== key)])),
  ...Object.fromEntries(
    azureWhole.map((key) => [key, [...azureSecrets.filter((other) => other !== key), 'account', 'endpoint']]),
  ),
  account: azureWhole,
  endpoint: azureWhole,
  client_secret: ['client_secret_file'],
  client_secret_file: ['client_secret'],
  refresh_token: ['refresh_token_file', 'credentials_file'],
  refresh_token_file: ['refresh_token', 'credentials_file'],
  client_id: ['credentials_file'],
  credentials_file: ['client_id', 'refresh_token', 'refresh_token_file'],
};

/** The higher over the lower, as {@link overlay} does it. */
export function mergeTrees(lower: Tree, higher: Tree): Tree {
  const merged = Object.assign(emptyTree(), lower);
  for (const key of Object.keys(higher)) {
    for (const other of displaces[key] ?? []) if (!Object.hasOwn(higher, other)) delete merged[other];
  }
  for (const [key, value] of Object.entries(higher)) {
    const below = merged[key];
    merged[key] = isTree(value) && isTree(below) ? mergeTrees(below, value) : value;
  }
  return merged;
}

/** Gives every text value the type its setting wants; what does not fit stays text, for the schema to refuse. */
export function readTexts(value: TreeValue, path: SettingPath = []): unknown {
  if (value instanceof TextValue) return readText(value.text, path);
  if (Array.isArray(value)) return value.map((item: TreeValue) => readTexts(item, path));
  if (!isTree(value)) return value;
  const read = emptyTree() as Record<string, unknown>;
  for (const [key, item] of Object.entries(value)) read[key] = readTexts(item, [...path, key]);
  return read;
}

const yes: readonly string[] = ['true', 'yes', 'on', '1'];
const no: readonly string[] = ['false', 'no', 'off', '0'];

function readText(text: string, path: SettingPath): unknown {
  const forms = settingAt(path)?.forms;
  if (forms === undefined) return text;
  if (forms.number && /^-?\d+(\.\d+)?$/.test(text)) return Number(text);
  if (forms.boolean && yes.includes(text.toLowerCase())) return true;
  if (forms.boolean && no.includes(text.toLowerCase())) return false;
  if (forms.list) return parts(text);
  if (forms.map) {
    const pairs = parts(text).map((part) => [part.split('=', 1)[0] ?? '', part] as const);
    if (pairs.every(([key, part]) => part.length > key.length)) {
      return Object.fromEntries(pairs.map(([key, part]) => [key.trim(), part.slice(key.length + 1).trim()]));
    }
  }
  return text;
}

function parts(text: string): string[] {
  return text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');
}

function key(path: readonly PropertyKey[]): string {
  return JSON.stringify(path.map(String));
}
