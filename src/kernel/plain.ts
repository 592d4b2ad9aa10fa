import { isSecretName, redact } from './redact.ts';
import { Secret } from './secret.ts';

/** What JSON can hold. */
export type Plain = string | number | boolean | null | readonly Plain[] | { readonly [key: string]: Plain };

const deepest = 8;
const longestList = 100;

/**
 * Any value as plain data that JSON can hold and anyone may read: secrets and passwords masked, errors with code,
 * hint and causes, bytes by their size, cycles and depths cut off. Never throws.
 */
export function toPlain(value: unknown, secrets: readonly Secret[] = []): Plain {
  return convert(value, { secrets, path: [] });
}

interface Place {
  readonly secrets: readonly Secret[];
  /** The objects this value lies in. */
  readonly path: readonly object[];
}

function convert(value: unknown, place: Place): Plain {
  switch (typeof value) {
    case 'string':
      return redact(value, place.secrets);
    case 'boolean':
      return value;
    case 'number':
      return Number.isFinite(value) ? value : String(value);
    case 'object':
      return value === null ? null : convertObject(value, place);
    case 'undefined':
      return null;
    default:
      // bigint, symbol, function
      return typeof value === 'function' ? `[function ${value.name}]` : String(value);
  }
}

function convertObject(value: object, outer: Place): Plain {
  if (value instanceof Secret) return '***';
  if (outer.path.includes(value)) return '[circular]';
  if (outer.path.length >= deepest) return '[deeper]';
  const place = { ...outer, path: [...outer.path, value] };
  try {
    if (value instanceof Error) return convertError(value, place);
    if (value instanceof Date) return Number.isNaN(value.getTime()) ? 'invalid date' : value.toISOString();
    if (value instanceof URL) return redact(value.href, place.secrets);
    if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) return `[${value.byteLength} bytes]`;
    if (Array.isArray(value) || value instanceof Set)
      return convertList([...(value as Iterable<unknown>)], place);
    if (value instanceof Map) return convertEntries([...(value as Map<unknown, unknown>)], place);
    return convertEntries(Object.entries(value), place);
  } catch (error) {
    // A getter or proxy that throws must not break the report about something else.
    return `[unreadable: ${error instanceof Error ? error.name : typeof error}]`;
  }
}

function convertList(items: readonly unknown[], place: Place): Plain {
  const shown = items.slice(0, longestList).map((item) => convert(item, place));
  return items.length > longestList ? [...shown, `[${items.length - longestList} more]`] : shown;
}

function convertEntries(entries: readonly (readonly [unknown, unknown])[], place: Place): Plain {
  return Object.fromEntries(
    entries
      .filter(([, item]) => item !== undefined)
      .map(([key, item]) => {
        const name = String(key);
        return [name, typeof item === 'string' && isSecretName(name) ? '***' : convert(item, place)];
      }),
  );
}

function convertError(error: Error, place: Place): Plain {
  const { code, hint, details } = error as { code?: unknown; hint?: unknown; details?: unknown };
  const catalogued = typeof hint === 'string';
  return convertEntries(
    [
      ['name', error.name],
      ['code', code],
      ['message', error.message],
      ['hint', hint],
      ['details', isEmpty(details) ? undefined : details],
      ['cause', error.cause],
      ['errors', error instanceof AggregateError ? error.errors : undefined],
      // A catalogued error says itself what happened; of any other one wants to know where.
      ['stack', catalogued ? undefined : error.stack],
    ],
    place,
  );
}

function isEmpty(value: unknown): boolean {
  return typeof value === 'object' && value !== null && Object.keys(value).length === 0;
}
