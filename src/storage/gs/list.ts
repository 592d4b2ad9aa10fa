import { isFailure } from '../../kernel/errors/failure.ts';
import { readJson } from '../google-api.ts';
import { isNameSegment, isObjectName } from '../names.ts';
import type { ObjectInfo } from '../port.ts';
import { objectListSchema, type GsObject, type Query } from './bucket.ts';
import { coded, gsFailure } from './errors.ts';
import type { GsPlace } from './place.ts';

/** The most that the service gives. */
const pageObjects = 1000;
const triesOfPage = 4;
const firstPauseMs = 250;

type Page = ReturnType<(typeof objectListSchema)['parse']>;

/**
 * Objects below a prefix, in the order of the service, which is that of UTF-8 bytes. A page that fails is asked for
 * again, from the last name on, so that a long listing does not begin anew.
 */
export async function* listObjects(
  place: GsPlace,
  prefix: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<ObjectInfo, void, void> {
  const query = { prefix: place.keyOf(prefix), fields: 'nextPageToken,items(name,size,timeCreated)' };
  let last: string | undefined;
  for await (const page of pages(place, prefix, query, signal)) {
    for (const object of page.items) {
      const name = object.name.slice(place.prefix.length);
      // The page after a failure begins with the last name of the one before it.
      if ((last !== undefined && object.name === last) || !isObjectName(name)) continue;
      last = object.name;
      yield infoOf(name, object);
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
  let at: Position = { token: undefined, lastKey: undefined };
  do {
    const page = await askPatiently(place, shown, query, at, signal);
    yield page;
    const keys = [page.items.at(-1)?.name, page.prefixes.at(-1), at.lastKey];
    const lastKey = keys.filter((key) => key !== undefined).reduce(laterOf, '');
    at = { token: page.nextPageToken, lastKey: lastKey === '' ? undefined : lastKey };
  } while (at.token !== undefined);
}

interface Position {
  readonly token: string | undefined;
  /** The last name that was given; the service can begin there as well. */
  readonly lastKey: string | undefined;
}

async function askPatiently(
  place: GsPlace,
  shown: string,
  query: Query,
  { token, lastKey }: Position,
  signal: AbortSignal | undefined,
): Promise<Page> {
  for (let failed = 0; ;) {
    // A token may be what fails: from the second try on the place is named in words.
    const from: Query = token !== undefined && failed === 0 ? { pageToken: token } : { startOffset: lastKey };
    try {
      return await askForPage(place, shown, { ...query, ...from, maxResults: String(pageObjects) }, signal);
    } catch (error) {
      failed += 1;
      const isAboutToken = token !== undefined && isFailure(error, 'google_refused');
      const isWorthIt = isAboutToken || (isFailure(error) && error.retryable);
      if (!isWorthIt || failed >= triesOfPage || signal?.aborted === true) throw error;
      await place.clock.sleep(firstPauseMs * 2 ** (failed - 1), signal);
    }
  }
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
      if (response.status !== 200) throw gsFailure(response, deed);
      return readJson(objectListSchema, response);
    },
    signal,
  );
}

/** Of two names the one that comes later in the order of their UTF-8 bytes. */
function laterOf(a: string, b: string): string {
  return Buffer.compare(Buffer.from(a), Buffer.from(b)) >= 0 ? a : b;
}
