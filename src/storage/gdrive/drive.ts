import { z } from 'zod';
import { failure } from '../../kernel/errors/failure.ts';
import { apiError, readJson, type GoogleApi } from '../google-api.ts';
import type { HttpRequest, HttpResponse } from '../http-client.ts';
import { driveFailure, type DriveDeed } from './errors.ts';
import type { Pace } from './pace.ts';

export const folderType = 'application/vnd.google-apps.folder';

/** What is asked of a file wherever it is told. */
export const fileFields = 'id,name,mimeType,size,md5Checksum,createdTime,trashed,properties,driveId';

const fileSchema = z.object({
  id: z.string(),
  name: z.string(),
  mimeType: z.string(),
  /** Folders and documents of Google's own have none. */
  size: z.string().regex(/^\d+$/).transform(Number).default(0),
  md5Checksum: z.string().optional(),
  createdTime: z.iso.datetime({ offset: true }).transform((text) => Date.parse(text)),
  trashed: z.boolean().default(false),
  properties: z.record(z.string(), z.string()).default({}),
  driveId: z.string().optional(),
});

export type DriveFile = z.output<typeof fileSchema>;

const pageSchema = z.object({
  files: z.array(fileSchema).default([]),
  nextPageToken: z.string().optional(),
  incompleteSearch: z.boolean().default(false),
});

const idsSchema = z.object({ ids: z.array(z.string()).min(1) });

/** Entries of a page: the most that the service gives. */
const pageFiles = 1000;
/** Pre-made ids asked for at once. */
const idsAtOnce = 50;

interface Call {
  readonly signal: AbortSignal | undefined;
  readonly deed: DriveDeed;
}

/** Requests of the Drive API, version 3, whatever drive the files lie in. */
export class Drive {
  readonly api: GoogleApi;
  readonly #endpoint: URL;
  readonly #pace: Pace;
  readonly #ids: string[] = [];

  constructor(api: GoogleApi, endpoint: URL, pace: Pace) {
    this.api = api;
    this.#endpoint = endpoint;
    this.#pace = pace;
  }

  /** Undefined when there is no such file, or it lies in the bin. */
  async find(id: string, call: Call): Promise<DriveFile | undefined> {
    const response = await this.#send('GET', `drive/v3/files/${id}`, { fields: fileFields }, call);
    if (response.status === 404) return undefined;
    const file = readJson(fileSchema, succeeded(response, call.deed));
    return file.trashed ? undefined : file;
  }

  /** Every file that `query` finds, a page at a time, in no order. Never those in the bin. */
  async *search(
    query: string,
    driveId: string | undefined,
    call: Call,
  ): AsyncGenerator<DriveFile[], void, void> {
    const fixed = {
      q: `${query} and trashed = false`,
      fields: `nextPageToken,incompleteSearch,files(${fileFields})`,
      pageSize: String(pageFiles),
      includeItemsFromAllDrives: 'true',
      ...(driveId === undefined ? {} : { corpora: 'drive', driveId }),
    };
    let pageToken: string | undefined;
    do {
      const response = await this.#send('GET', 'drive/v3/files', { ...fixed, pageToken }, call);
      // The folder itself is not there: not a word about any object.
      if (response.status === 404) throw failure('gdrive_folder_missing', { location: call.deed.location });
      const page = readJson(pageSchema, succeeded(response, call.deed));
      if (page.incompleteSearch) throw new Error('the service says that it has not searched everywhere');
      yield page.files;
      pageToken = page.nextPageToken;
    } while (pageToken !== undefined);
  }

  /** The bytes of a file, or a range of them. */
  media(id: string, headers: Readonly<Record<string, string>>, call: Call): Promise<HttpResponse> {
    return this.#media(id, headers, {}, call);
  }

  /** Removes a file for good. Fine when it is not there. */
  async remove(id: string, call: Call): Promise<void> {
    const response = await this.#send('DELETE', `drive/v3/files/${id}`, {}, call);
    if (response.status !== 404) succeeded(response, call.deed);
  }

  async makeFolder(name: string, parent: string, call: Call): Promise<DriveFile> {
    const metadata = { name, parents: [parent], mimeType: folderType };
    const response = await this.#send(
      'POST',
      'drive/v3/files',
      { fields: fileFields },
      call,
      jsonBody(metadata),
    );
    return readJson(fileSchema, succeeded(response, call.deed));
  }

  /** An id that no file has, for one that is to be made. */
  async newId(call: Call): Promise<string> {
    const left = this.#ids.pop();
    if (left !== undefined) return left;
    const query = { count: String(idsAtOnce), space: 'drive', type: 'files', fields: 'ids' };
    const response = await this.#send('GET', 'drive/v3/files/generateIds', query, call);
    const { ids } = readJson(idsSchema, succeeded(response, call.deed));
    const [first = '', ...others] = ids;
    this.#ids.push(...others);
    return first;
  }

  upload(
    uploadType: 'multipart' | 'resumable',
    rest: Pick<HttpRequest, 'headers' | 'body'>,
    call: Call,
  ): Promise<HttpResponse> {
    // What a domain shows to everybody by default must not be shown.
    const query = { uploadType, fields: fileFields, ignoreDefaultVisibility: 'true' };
    return this.#send('POST', 'upload/drive/v3/files', query, call, rest);
  }

  async #media(
    id: string,
    headers: Readonly<Record<string, string>>,
    query: Query,
    call: Call,
  ): Promise<HttpResponse> {
    const response = await this.#send('GET', `drive/v3/files/${id}`, { alt: 'media', ...query }, call, {
      headers,
    });
    const isRefused = response.status === 403 && apiError(response).reason === 'cannotDownloadAbusiveFile';
    // What is sealed may look like anything to a scanner. It is our own.
    if (!isRefused || query['acknowledgeAbuse'] !== undefined) return response;
    return this.#media(id, headers, { acknowledgeAbuse: 'true' }, call);
  }

  async #send(
    method: HttpRequest['method'],
    path: string,
    query: Query,
    { signal }: Call,
    rest: Pick<HttpRequest, 'headers' | 'body'> = {},
  ): Promise<HttpResponse> {
    const url = new URL(path, this.#endpoint);
    const operation = operationOf(method, path, query);
    // Without it, everything in shared drives is said not to be there.
    const asked: Query = path.endsWith('generateIds') ? query : { ...query, supportsAllDrives: 'true' };
    for (const [key, value] of Object.entries(asked))
      if (value !== undefined) url.searchParams.set(key, value);
    using _place = await this.#pace.turn(signal);
    const response = await this.api.send({ operation, method, url, signal, ...rest });
    if (saysTooFast(response)) this.#pace.tooFast();
    else if (response.status < 400) this.#pace.fine();
    return response;
  }
}

/** As the documents call it: `files.list`, `files.get`, … */
function operationOf(method: string, path: string, query: Query): string {
  if (path.endsWith('generateIds')) return 'files.generateIds';
  if (method !== 'GET') return method === 'POST' ? 'files.create' : 'files.delete';
  if (query['alt'] === 'media') return 'files.get (media)';
  return path.endsWith('/files') ? 'files.list' : 'files.get';
}

type Query = Readonly<Record<string, string | undefined>>;

export function fileOf(response: HttpResponse): DriveFile {
  return readJson(fileSchema, response);
}

export function jsonBody(value: unknown): Pick<HttpRequest, 'headers' | 'body'> {
  return {
    headers: { 'content-type': 'application/json; charset=UTF-8' },
    body: [Buffer.from(JSON.stringify(value))],
  };
}

/** For a query: `'it\'s'`. */
export function quoted(text: string): string {
  return `'${text.replaceAll(/['\\]/g, String.raw`\$&`)}'`;
}

function succeeded(response: HttpResponse, deed: DriveDeed): HttpResponse {
  if (response.status >= 200 && response.status < 300) return response;
  throw driveFailure(response, deed);
}

function saysTooFast(response: HttpResponse): boolean {
  if (response.status === 429) return true;
  return response.status === 403 && /^(user)?rateLimitExceeded$/i.test(apiError(response).reason);
}
