import { failure } from '../kernel/errors/failure.ts';

/** Looks a variable up; undefined when it is not set. */
export type Lookup = (variable: string) => string | undefined;

const shift = 0xe100;
const reference = /\$\$\{[^}\n]*\}|\$\{[A-Za-z_][A-Za-z0-9_]*(?::-[^}\n]*)?\}/g;

/**
 * Hides every `${…}` of a YAML text from YAML, whose flow mappings would trip over the braces: each ASCII character of
 * a reference becomes one of a private range, so that lines and columns stay the same. {@link reveal} turns them back.
 */
export function conceal(text: string): string {
  return text.replaceAll(reference, (match) =>
    Array.from(match, (char) =>
      char < '\u0080' ? String.fromCharCode(char.charCodeAt(0) + shift) : char,
    ).join(''),
  );
}

export function reveal(text: string): string {
  return text.replaceAll(/[\ue100-\ue17f]/g, (char) => String.fromCharCode(char.charCodeAt(0) - shift));
}

/**
 * Replaces `${VAR}` and `${VAR:-default}` (for unset or empty variables) and turns `$$` into `$`. A dollar sign followed
 * by anything else is itself. Throws `config_variable_missing` and `config_interpolation`.
 */
export function interpolate(text: string, lookup: Lookup, at: string): string {
  return text.replaceAll(/\$\$|\$\{([^}]*)\}?/g, (match: string, inside: string | undefined) => {
    if (match === '$$') return '$';
    const [, variable, fallback] = /^([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?$/s.exec(inside ?? '') ?? [];
    if (variable === undefined || !match.endsWith('}')) {
      throw failure('config_interpolation', { place: at, text: match, forms: '${VAR} or ${VAR:-default}' });
    }
    const value = lookup(variable);
    if (fallback !== undefined) return value === undefined || value === '' ? fallback : value;
    if (value !== undefined) return value;
    throw failure('config_variable_missing', { place: at, variable, reference: `\${${variable}:-value}` });
  });
}
