import { hash } from 'node:crypto';
import type { z } from 'zod';

/**
 * Small JSON objects that a person may need to read, with a check value of their own: `check` is the SHA-256 of the
 * canonical text (keys sorted, no spaces) of everything else in it.
 */
export function encodeCheckedJson(content: Readonly<Record<string, unknown>>): Uint8Array {
  const check = hash('sha256', canonicalJson(content), 'hex');
  return Buffer.from(`${JSON.stringify({ ...content, check }, null, 2)}\n`);
}

/** Parses and checks such an object. Throws a plain `Error` that says what is wrong with it. */
export function decodeCheckedJson<T extends Record<string, unknown>>(
  bytes: Uint8Array,
  schema: z.ZodType<T>,
): T {
  const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  const parsed: unknown = JSON.parse(text);
  if (typeof parsed !== 'object' || parsed === null || !('check' in parsed))
    throw new Error('it has no check value');
  const { check, ...content } = parsed;
  if (check !== hash('sha256', canonicalJson(content), 'hex'))
    throw new Error('it does not match its check value');
  // Space, order and escapes are not covered by the check value, but only one text is ever written.
  if (Buffer.compare(encodeCheckedJson(content), bytes) !== 0) {
    throw new Error('it is not written the way Holdfast writes it');
  }
  return schema.parse(content);
}

/** JSON with keys in code-unit order at every level and no white space. */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (typeof value === 'object' && value !== null) {
    const fields = Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
    return `{${fields.map(([key, field]) => `${JSON.stringify(key)}:${canonicalJson(field)}`).join(',')}}`;
  }
  return JSON.stringify(value);
}
