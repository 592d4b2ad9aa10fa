import type { ObjectInfo, Storage } from '../../storage/port.ts';

/**
 * So many objects are passed over in a listing before it is worth asking anew from where the interesting ones begin: that
 * takes up to 120 questions, most of them answered with nothing.
 */
export const patience = 4000;

const digits = '0123456789abcdef';

/**
 * Objects below folders of `parent` that have 8 hex digits for a name, from the folder `from` on, in order. A storage can
 * only be asked for prefixes: first that folder, then what differs from it in the last digit, in the one before, …
 */
export async function* listFromFolder(
  storage: Storage,
  parent: string,
  from: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<ObjectInfo, void, void> {
  yield* storage.list(`${parent}${from}/`, { signal });
  for (let at = from.length - 1; at >= 0; at -= 1) {
    const higher = digits.slice(digits.indexOf(from.charAt(at)) + 1);
    for (const digit of higher) yield* storage.list(parent + from.slice(0, at) + digit, { signal });
  }
}
