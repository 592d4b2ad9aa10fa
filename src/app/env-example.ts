import { isTree, TextValue, type TreeValue } from '../contract/config-layer.ts';
import { readYaml } from '../contract/config-yaml.ts';
import type { KeptConfig } from '../repository/kept-config.ts';

/** A variable that a kept configuration counts on. */
export interface NeededVariable {
  readonly name: string;
  /** What it was there; null for secrets and for what only references name. */
  readonly value: string | null;
  /** Without it the configuration is refused. */
  readonly required: boolean;
  /** Lines of the configuration that name it. */
  readonly lines: readonly number[];
  /** It is set here already. */
  readonly set: boolean;
}

/** What a kept configuration needs beside itself. */
export interface ConfigNeeds {
  readonly variables: readonly NeededVariable[];
  /** Files it names that may hold secrets or keys: `sources.shop.password_file`. */
  readonly files: readonly { readonly setting: string; readonly path: string }[];
}

export interface NeedsContext {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Whether the repository needs a passphrase to open. */
  readonly encrypted: boolean;
}

export function needsOf(kept: KeptConfig, { env, encrypted }: NeedsContext): ConfigNeeds {
  const { text, environment } = kept;
  const named = new Set<string>();
  const layer = readYaml({ name: 'holdfast.yaml', text }, (variable) => {
    named.add(variable);
    return '';
  });
  const values = new Map<string, string | null>([...named].map((name) => [name, null]));
  for (const { name, value } of environment) values.set(name, value);
  const givesPassphrase = [...values.keys()].some((name) => name.startsWith('HOLDFAST_PASSPHRASE'));
  if (encrypted && !givesPassphrase && !/^[^#\n]*passphrase(?:_file|_command)?\s*:/m.test(text))
    values.set('HOLDFAST_PASSPHRASE', null);
  const lines = text.split('\n');
  const variables = Array.from(values, ([name, value]) => ({
    name,
    value,
    required: named.has(name) && text.includes(`\${${name}}`),
    lines: lines.flatMap((line, index) => (mentions(line, name) ? [index + 1] : [])),
    set: (env[name] ?? '') !== '',
  }));
  return { variables, files: [...filesIn(layer.values, [])] };
}

function mentions(line: string, name: string): boolean {
  return line.includes(`\${${name}}`) || line.includes(`\${${name}:-`);
}

function* filesIn(value: TreeValue, path: readonly string[]): Generator<{ setting: string; path: string }> {
  if (isTree(value)) {
    for (const [key, item] of Object.entries(value)) yield* filesIn(item, [...path, key]);
    return;
  }
  const text = value instanceof TextValue ? value.text : value;
  const isFile = /(?:_file|^sslcert|^sslkey|^sslrootcert)$/.test(path.at(-1) ?? '');
  if (isFile && typeof text === 'string' && text !== '') yield { setting: path.join('.'), path: text };
}

/** The text of `.env.example`: what must be set for a configuration, for people to fill in. */
export function envExample(kept: KeptConfig, { variables, files }: ConfigNeeds): string {
  const secrets = variables.filter(({ value }) => value === null);
  const known = variables.filter(({ value }) => value !== null);
  const lines = [
    `# What the configuration of ${kept.host} needs beside holdfast.yaml, as of ${kept.saved_at}.`,
    '# Copy this to .env beside it, for nobody else to read, and fill it in: install -m 600 .env.example .env',
    '# Secrets are never kept in a repository: take them from where you keep them.',
    ...secrets.flatMap((one) => ['', `# ${about(one)}`, `#${one.name}=`]),
    ...(known.length === 0 ? [] : ['', '# Settings that the environment gave there:']),
    ...known.map(({ name, value }) => `${name}=${quoted(value ?? '')}`),
    ...(files.length === 0 ? [] : ['', '# Files that the configuration names, which have to be there, too:']),
    ...files.map(({ setting, path }) => `#   ${path} (${setting})`),
  ];
  return `${lines.join('\n')}\n`;
}

function about({ name, required, lines }: NeededVariable): string {
  const where = lines.length === 0 ? '' : ` (holdfast.yaml, line ${lines.join(', ')})`;
  if (name === 'HOLDFAST_PASSPHRASE')
    return `the passphrase of the repository, if no key file or HOLDFAST_PASSPHRASE_FILE gives it${where}`;
  if (lines.length === 0) return 'was set there';
  const inUrl = name.endsWith('_PASSWORD') ? '; within a URL special characters are written %XX' : '';
  return `${required ? 'needed' : 'has a default'}${where}${inUrl}`;
}

function quoted(value: string): string {
  if (/^[\w./:@,%+=-]*$/.test(value)) return value;
  if (!/['\n]/.test(value)) return `'${value}'`;
  return `"${value.replaceAll('\n', String.raw`\n`)}"`;
}
