import { ListObjectsV2Command, type ListObjectsV2CommandOutput } from '@aws-sdk/client-s3';
import { failure } from '../../kernel/errors/failure.ts';
import { isNameSegment, isObjectName } from '../names.ts';
import type { CallOptions, ListOptions, ObjectInfo } from '../port.ts';
import type { S3Context } from './context.ts';
import type { S3Deed } from './deed.ts';
import { probeName } from './conditional.ts';

interface Page {
  readonly objects: readonly ObjectInfo[];
  readonly folders: readonly string[];
  /** Where the next page begins; undefined after the last one. */
  readonly next: string | undefined;
}

interface PageQuery {
  readonly prefix: string;
  readonly delimiter?: string;
  readonly startAfter?: string | undefined;
}

/** Keys that are no names of ours are passed over. The next page is asked for while this one is read. */
export async function* listObjects(
  context: S3Context,
  prefix: string,
  { signal, after }: ListOptions,
): AsyncGenerator<ObjectInfo, void, void> {
  let last: string | undefined;
  for await (const page of pages(context, { prefix, startAfter: after }, signal)) {
    for (const info of page.objects) {
      signal?.throwIfAborted();
      if (!isObjectName(info.name)) continue;
      // Whoever does not honour where to go on would list the same for ever.
      if (last !== undefined && info.name <= last)
        throw failure('storage_disorder', {
          location: context.place.location,
          before: last,
          name: info.name,
        });
      last = info.name;
      yield info;
    }
  }
  signal?.throwIfAborted();
}

/** What lies directly in the place and can be no object of ours. */
export async function findForeign(context: S3Context, { signal }: CallOptions): Promise<string | undefined> {
  for await (const { objects, folders } of pages(context, { prefix: '', delimiter: '/' }, signal)) {
    const names = [...objects.map(({ name }) => name), ...folders.map((folder) => folder.slice(0, -1))];
    // An empty object with the name of the folder itself is how web consoles make folders.
    const strange = names.find((name) => name !== '' && name !== probeName && !isNameSegment(name));
    if (strange !== undefined) return strange;
  }
  return undefined;
}

async function* pages(
  context: S3Context,
  query: PageQuery,
  signal: AbortSignal | undefined,
): AsyncGenerator<Page, void, void> {
  let coming = fetchPage(context, query, undefined, signal);
  for (;;) {
    const page = await coming;
    if (page.next === undefined) {
      yield page;
      return;
    }
    coming = fetchPage(context, query, page.next, signal);
    // Nobody may be there to hear of it, when the reader leaves early.
    coming.catch(() => undefined);
    yield page;
  }
}

async function fetchPage(
  context: S3Context,
  { prefix, delimiter, startAfter }: PageQuery,
  token: string | undefined,
  signal: AbortSignal | undefined,
): Promise<Page> {
  const { place, client, calls } = context;
  const root = place.prefix;
  const command = new ListObjectsV2Command({
    Bucket: place.bucket,
    Prefix: root + prefix,
    // Keys of others may hold what XML cannot.
    EncodingType: 'url',
    ...(delimiter === undefined ? {} : { Delimiter: delimiter }),
    ...(token === undefined ? {} : { ContinuationToken: token }),
    ...(token !== undefined || startAfter === undefined ? {} : { StartAfter: root + startAfter }),
  });
  const deed: S3Deed = {
    operation: 'ListObjectsV2',
    action: 'list',
    name: prefix === '' ? 'the objects' : prefix,
  };
  const answer = await calls.run(deed, { signal }, ({ options }) => client.send(command, options));
  return pageOf(context, answer);
}

function pageOf({ place }: S3Context, answer: ListObjectsV2CommandOutput): Page {
  const broken = (reason: string): Error =>
    failure('storage_failed', { action: 'list', name: 'the objects', location: place.location, reason });
  const objects: ObjectInfo[] = [];
  const folders: string[] = [];
  const decoded = (key: string): string => (answer.EncodingType === 'url' ? decodedKey(key) : key);
  for (const { Key, Size, LastModified } of answer.Contents ?? []) {
    if (Key === undefined || Size === undefined || LastModified === undefined)
      throw broken('an entry lacks its key, size or time');
    const key = decoded(Key);
    if (!key.startsWith(place.prefix)) throw broken(`${key} was not asked for`);
    objects.push({
      name: key.slice(place.prefix.length),
      sizeBytes: Size,
      modifiedAtMs: LastModified.getTime(),
    });
  }
  for (const { Prefix } of answer.CommonPrefixes ?? [])
    if (Prefix !== undefined) folders.push(decoded(Prefix).slice(place.prefix.length));
  const next = answer.IsTruncated === true ? answer.NextContinuationToken : undefined;
  // Without either, nobody could say whether the listing is complete.
  if (answer.IsTruncated === undefined || (answer.IsTruncated && next === undefined))
    throw broken('the answer does not say how it goes on');
  return { objects, folders, next };
}

function decodedKey(key: string): string {
  try {
    return decodeURIComponent(key.replaceAll('+', ' '));
  } catch {
    // Not of ours in any case.
    return key;
  }
}
