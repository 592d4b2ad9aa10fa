import { hash } from 'node:crypto';
import { z } from 'zod';
import { failure, isFailure, reasonOf } from '../kernel/errors/failure.ts';
import { parseLsn } from '../postgres/lsn.ts';
import type { PipelineKeys } from '../pipeline/keys.ts';
import { decodeCheckedJson } from './checked-json.ts';
import { trashPrefix } from './history/names.ts';
import {
  configObject,
  indexPrefix,
  keysPrefix,
  packIdOf,
  snapshotsPrefix,
  walAboutPrefix,
  walPrefix,
} from './layout.ts';
import { openObject } from './sealed-object.ts';
import { decodeWalObject } from './wal/object.ts';

const walHeadSchema = z.union([
  z.looseObject({ start: z.string(), end: z.string() }),
  z.looseObject({ file: z.string(), bytes: z.number().int().nonnegative() }),
]);

/**
 * Checks that an object is as it was written, whatever kind it is of: packs and indexes by the hash that is their name,
 * all else by its seal or its check value, and that it belongs under this name. `object_damaged`.
 */
export function authenticateObject(keys: PipelineKeys, name: string, bytes: Uint8Array): void {
  try {
    check(keys, name, bytes);
  } catch (error) {
    if (isFailure(error)) throw error;
    throw failure('object_damaged', { name, reason: reasonOf(error) }, { cause: error });
  }
}

function check(keys: PipelineKeys, name: string, bytes: Uint8Array): void {
  const id = packIdOf(name) ?? (name.startsWith(indexPrefix) ? name.slice(indexPrefix.length) : undefined);
  if (id !== undefined) {
    if (hash('sha256', bytes, 'hex') !== id) throw new Error('its bytes do not hash to its name');
  } else if (name === configObject || name.startsWith(keysPrefix)) {
    decodeCheckedJson(bytes, z.record(z.string(), z.unknown()));
  } else if (name.startsWith(snapshotsPrefix)) {
    openObject(keys, 'manifest', name, bytes, name);
  } else if (name.startsWith(trashPrefix)) {
    const manifest = `${snapshotsPrefix}${name.slice(trashPrefix.length)}`;
    openObject(keys, 'manifest', name, bytes, manifest);
  } else if (name.startsWith(walAboutPrefix)) {
    openObject(keys, 'wal', name, bytes, name);
  } else if (name.startsWith(walPrefix)) {
    decodeWalObject(keys, name, bytes, (head) => {
      const parsed = walHeadSchema.parse(head);
      return 'file' in parsed ? Number(parsed['bytes']) : lengthOf(parsed['start'], parsed['end']);
    });
  } else {
    openObject(keys, 'record', name, bytes, name);
  }
}

function lengthOf(start: string, end: string): number {
  const from = parseLsn(start);
  const to = parseLsn(end);
  if (from === undefined || to === undefined || to <= from) throw new Error('its head is not of a stretch');
  return Number(to - from);
}
