import { z } from 'zod';
import { failure } from '../../kernel/errors/failure.ts';
import { parseWalFileName } from '../../postgres/wal/names.ts';
import { walFilesPrefix } from '../layout.ts';
import type { WalPut } from './model.ts';
import { decodeWalObject, encodeWalObject } from './object.ts';
import { putOrCompare } from './put.ts';
import { orGone, type WalStore } from './store.ts';

const headSchema = z.looseObject({ file: z.string(), bytes: z.number().int().min(0) });

/** As `WalArchive.putFile`. */
export async function putFile(
  store: WalStore,
  name: string,
  bytes: Uint8Array,
  signal: AbortSignal | undefined,
): Promise<WalPut> {
  const objectName = fileObject(store, name);
  const there = await orGone(readFile(store, name, signal));
  const check = (found: Uint8Array): void => {
    if (Buffer.compare(found, bytes) === 0) return;
    const { source } = store.info;
    throw failure('wal_file_differs', { file: name, source, name: objectName });
  };
  if (there !== undefined) {
    check(there);
    return 'already_there';
  }
  const object = encodeWalObject(store.keys, objectName, { file: name, bytes: bytes.length }, bytes);
  const readThere = () => readFile(store, name, signal);
  return await putOrCompare(store, objectName, object, { readThere, check }, signal);
}

/** `object_missing`, `object_damaged`. */
export async function readFile(
  store: WalStore,
  name: string,
  signal: AbortSignal | undefined,
): Promise<Uint8Array> {
  const objectName = fileObject(store, name);
  const stored = await store.storage.get(objectName, { signal });
  const sizeOf = (head: unknown): number => {
    const found = headSchema.parse(head);
    if (found.file !== name) throw new Error(`it holds ${found.file}`);
    return found.bytes;
  };
  return decodeWalObject(store.keys, objectName, stored, sizeOf).bytes;
}

/** Names of all files, in order, as PostgreSQL writes them. */
export async function* listFiles(
  store: WalStore,
  signal: AbortSignal | undefined,
): AsyncGenerator<string, void, void> {
  const folder = walFilesPrefix(store.id);
  for await (const { name } of store.storage.list(folder, { signal })) {
    const file = asWritten(name.slice(folder.length));
    if (isKept(file)) yield file;
  }
}

/** The name of the object that holds a file. */
export function fileObject(store: WalStore, name: string): string {
  if (!isKept(name)) throw new TypeError(`not a file that is kept beside WAL: ${name}`);
  return `${walFilesPrefix(store.id)}${name.toLowerCase()}`;
}

function isKept(name: string): boolean {
  const kind = parseWalFileName(name)?.kind;
  return kind !== undefined && kind !== 'segment';
}

/** Digits in upper case, the suffix as it is. */
function asWritten(name: string): string {
  const dot = name.lastIndexOf('.');
  return dot < 0 ? name : name.slice(0, dot).toUpperCase() + name.slice(dot);
}
