/** A line of a configuration file of PostgreSQL. */
export interface ConfLine {
  /** As it stands, without its end. */
  readonly text: string;
  /** What it sets, or the file that it includes; null for comments, empty lines, and what PostgreSQL would not take. */
  readonly setting: ConfSetting | null;
}

export interface ConfSetting {
  /** In small letters: names are the same however they are written. */
  readonly name: string;
  readonly value: string;
}

const line = /^\s*([A-Za-z_][\w$.]*)(?:\s*=\s*|\s+|(?='))('(?:[^'\\]|\\.|'')*'|[^\s'#]+)\s*(?:#.*)?$/u;

export function parseConf(text: string): ConfLine[] {
  const lines = text.split('\n');
  if (lines.at(-1) === '') lines.pop();
  return lines.map((one) => ({ text: one, setting: settingOf(one) }));
}

function settingOf(text: string): ConfSetting | null {
  const [, name, value] = line.exec(text.replace(/\r$/, '')) ?? [];
  if (name === undefined || value === undefined) return null;
  return { name: name.toLowerCase(), value: value.startsWith("'") ? unquoted(value) : value };
}

const escapes: Readonly<Record<string, string>> = { b: '\b', f: '\f', n: '\n', r: '\r', t: '\t' };

function unquoted(value: string): string {
  return value
    .slice(1, -1)
    .replaceAll(/''|\\([0-7]{1,3})|\\(.)/g, (pair, octal?: string, character?: string) => {
      if (octal !== undefined) return String.fromCodePoint(Number.parseInt(octal, 8));
      if (character !== undefined) return escapes[character] ?? character;
      return pair === "''" ? "'" : pair;
    });
}

/** A value as PostgreSQL reads it back, whatever is in it. */
export function quoteConf(value: string): string {
  const escaped = value
    .replaceAll('\\', '\\\\')
    .replaceAll("'", "''")
    .replaceAll('\n', '\\n')
    .replaceAll('\r', '\\r');
  return `'${escaped}'`;
}

export function confLine(name: string, value: string): string {
  return `${name} = ${quoteConf(value)}`;
}
