import { isFailure } from '../kernel/errors/failure.ts';
import type { ObjectInfo, Storage } from '../storage/port.ts';

/** Damaged objects that made way, byte for byte, below their own names. Nothing reads them but people, and repair. */
export const quarantinePrefix = 'quarantine/';

/** Another object of the same name was there already, so many times. */
const mostOfOneName = 1000;

/** Stores a copy of a damaged object. Resolves with its name once that is durable; the object itself stays. */
export async function putInQuarantine(
  storage: Storage,
  name: string,
  bytes: Uint8Array,
  signal?: AbortSignal,
): Promise<string> {
  for (let number = 1; ; number += 1) {
    const place = quarantineObject(name, number);
    try {
      await storage.put(place, bytes, { signal });
      return place;
    } catch (error) {
      if (!isFailure(error, 'object_exists') || number === mostOfOneName) throw error;
    }
  }
}

/** Everything in it, by name. */
export function listQuarantine(storage: Storage, signal?: AbortSignal): AsyncIterable<ObjectInfo> {
  return storage.list(quarantinePrefix, { signal });
}

/** Objects in it that once had this name. */
export async function quarantinedAs(storage: Storage, name: string, signal?: AbortSignal): Promise<string[]> {
  const found: string[] = [];
  const first = quarantineObject(name, 1);
  for await (const object of storage.list(first, { signal }))
    if (/^(?:\.again\d+)?$/.test(object.name.slice(first.length))) found.push(object.name);
  return found;
}

function quarantineObject(name: string, number: number): string {
  return `${quarantinePrefix}${name}${number === 1 ? '' : `.again${number}`}`;
}
