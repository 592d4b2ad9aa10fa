import { apiError, describeApiError, readJson } from '../google-api.ts';
import { isNameSegment, isObjectName } from '../names.ts';
import type { ListOptions, ObjectInfo } from '../port.ts';
import { objectListSchema, type GsObject, type Query } from './bucket.ts';
import { coded, gsFailure } from './errors.ts';
import type { GsPlace } from './place.ts';

/** The most that the service gives. */
const pageObjects = 1000;

type Page = ReturnType<(typeof objectListSchema)['parse']>;

/** Objects below a prefix, in the order of the service, which is that of UTF-8 bytes. */
export async function* listObjects(
  place: GsPlace,
  prefix: string,
  { signal, after }: ListOptions,
): AsyncGenerator<ObjectInfo, void, void> {
  const query = {
    prefix: place.keyOf(prefix),
    startOffset: after === undefined ? undefined : place.keyOf(after),
    fields: 'nextPageToken,items(name,size,timeCreated)',
  };
  for await (const page of pages(place, prefix, query, signal)) {
    for (const object of page.items) {
      const name = object.name.slice(place.prefix.length);
      if (isObjectName(name)) yield infoOf(name, object);
    }
  }
}

export function infoOf(name: string, { size, timeCreated }: GsObject): ObjectInfo {
  return { name, sizeBytes: size, modifiedAtMs: timeCreated };
}

/** See {@link Storage.foreign}. */
export async function findForeign(
  place: GsPlace,
  signal: AbortSignal | undefined,
): Promise<string | undefined> {
  const fields = 'nextPageToken,prefixes,items(name,size,timeCreated)';
  for await (const page of pages(place, '', { prefix: place.prefix, delimiter: '/', fields }, signal)) {
    const keys = [...page.items.map(({ name }) => name), ...page.prefixes];
    const names = keys.map((key) => key.slice(place.prefix.length).replace(/\/$/, ''));
    // An object named like the folder itself is what other tools make for a folder.
    const foreign = names.find((name) => name !== '' && !isNameSegment(name));
    if (foreign !== undefined) return foreign;
  }
  return undefined;
}

async function* pages(
  place: GsPlace,
  shown: string,
  query: Query,
  signal: AbortSignal | undefined,
): AsyncGenerator<Page, void, void> {
  let pageToken: string | undefined;
  do {
    const page = await askForPage(
      place,
      shown,
      { ...query, pageToken, maxResults: String(pageObjects) },
      signal,
    );
    yield page;
    pageToken = page.nextPageToken;
  } while (pageToken !== undefined);
}

function askForPage(
  place: GsPlace,
  shown: string,
  query: Query,
  signal: AbortSignal | undefined,
): Promise<Page> {
  const deed = place.deed('list', shown === '' ? 'objects' : shown, 'storage.objects.list');
  return coded(
    deed,
    async () => {
      const response = await place.bucket.objects(query, { signal });
      // A token that has run out: the caller goes on from the last name.
      if (response.status === 400 && query['pageToken'] !== undefined)
        throw new Error(describeApiError(apiError(response)));
      if (response.status !== 200) throw gsFailure(response, deed);
      return readJson(objectListSchema, response);
    },
    signal,
  );
}
