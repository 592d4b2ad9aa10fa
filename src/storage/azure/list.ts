import { isNameSegment, isObjectName } from '../names.ts';
import type { ObjectInfo } from '../port.ts';
import type { AzurePlace } from './place.ts';
import { factsFrom } from './read.ts';

/** The most that the service gives at once. */
const pageObjects = 5000;

/** Objects below a prefix, in the order of the service, which is that of bytes. */
export async function* listObjects(
  place: AzurePlace,
  prefix: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<ObjectInfo, void, void> {
  const options = { prefix: place.prefix + prefix, ...(signal === undefined ? {} : { abortSignal: signal }) };
  const pages = place.container.listBlobsFlat(options).byPage({ maxPageSize: pageObjects });
  for (;;) {
    const page = await nextPage(place, prefix, pages, signal);
    if (page === undefined) return;
    for (const { name: key, properties } of page.segment.blobItems) {
      signal?.throwIfAborted();
      const name = key.slice(place.prefix.length);
      if (!isObjectName(name)) continue;
      const { sizeBytes, modifiedAtMs } = factsFrom(
        properties.contentLength,
        properties.lastModified,
        undefined,
      );
      yield { name, sizeBytes, modifiedAtMs };
    }
    if (isLast(page)) return;
  }
}

/** See {@link Storage.foreign}. */
export async function findForeign(
  place: AzurePlace,
  signal: AbortSignal | undefined,
): Promise<string | undefined> {
  const options = { prefix: place.prefix, ...(signal === undefined ? {} : { abortSignal: signal }) };
  const pages = place.container.listBlobsByHierarchy('/', options).byPage({ maxPageSize: pageObjects });
  for (;;) {
    const page = await nextPage(place, '', pages, signal);
    if (page === undefined) return undefined;
    const found = [...page.segment.blobItems, ...(page.segment.blobPrefixes ?? [])];
    const names = found.map(({ name }) => name.slice(place.prefix.length).replace(/\/$/, ''));
    // An object named like the folder itself is what other tools make for a folder.
    const foreign = names.find((name) => name !== '' && !isNameSegment(name));
    if (foreign !== undefined || isLast(page)) return foreign;
  }
}

/** Undefined after the last. */
async function nextPage<T>(
  place: AzurePlace,
  shown: string,
  pages: AsyncIterator<T>,
  signal: AbortSignal | undefined,
): Promise<T | undefined> {
  const name = shown === '' ? 'objects' : shown;
  const call = { operation: 'ListBlobs', action: 'list', name, permission: 'l', signal } as const;
  const page = await place.ask(call, () => pages.next());
  return page.done === true ? undefined : page.value;
}

function isLast({ continuationToken }: { readonly continuationToken?: string }): boolean {
  return continuationToken === undefined || continuationToken === '';
}
