import { z } from 'zod';
import type { GoogleApi } from '../google-api.ts';
import type { HttpRequest, HttpResponse } from '../http-client.ts';

/** What is asked of an object's metadata wherever it is told. */
export const objectFields = 'name,size,timeCreated,md5Hash';

export const objectSchema = z.object({
  name: z.string(),
  size: z.string().regex(/^\d+$/).transform(Number),
  timeCreated: z.iso.datetime({ offset: true }).transform((text) => Date.parse(text)),
  /** Base64. Objects that were composed of others have none. */
  md5Hash: z.string().optional(),
});

export type GsObject = z.output<typeof objectSchema>;

export const objectListSchema = z.object({
  items: z.array(objectSchema).default([]),
  prefixes: z.array(z.string()).default([]),
  nextPageToken: z.string().optional(),
});

export type Query = Readonly<Record<string, string | readonly string[] | undefined>>;

type Rest = Pick<HttpRequest, 'headers' | 'body' | 'signal'>;

/** Requests about one bucket, by the names the JSON API gives its parts. */
export class GsBucket {
  readonly name: string;
  readonly api: GoogleApi;
  readonly #endpoint: URL;

  constructor(name: string, api: GoogleApi, endpoint: URL) {
    this.name = name;
    this.api = api;
    this.#endpoint = endpoint;
  }

  /** About an object; `key` is its whole name in the bucket. */
  object(method: 'GET' | 'DELETE', key: string, query: Query, rest: Rest): Promise<HttpResponse> {
    const path = `storage/v1/b/${this.#inPath}/o/${encodeURIComponent(key)}`;
    const operation = method === 'DELETE' ? 'objects.delete' : 'objects.get';
    return this.api.send({ operation, method, url: this.#url(path, query), ...rest });
  }

  objects(query: Query, rest: Rest): Promise<HttpResponse> {
    const url = this.#url(`storage/v1/b/${this.#inPath}/o`, query);
    return this.api.send({ operation: 'objects.list', method: 'GET', url, ...rest });
  }

  upload(query: Query, rest: Rest): Promise<HttpResponse> {
    const url = this.#url(`upload/storage/v1/b/${this.#inPath}/o`, query);
    return this.api.send({ operation: 'objects.insert', method: 'POST', url, ...rest });
  }

  /** Which of `permissions` whoever asks has. Needs none itself. */
  permissions(permissions: readonly string[], rest: Rest): Promise<HttpResponse> {
    const url = this.#url(`storage/v1/b/${this.#inPath}/iam/testPermissions`, { permissions });
    return this.api.send({ operation: 'buckets.testIamPermissions', method: 'GET', url, ...rest });
  }

  create(project: string, settings: unknown, rest: Rest): Promise<HttpResponse> {
    return this.api.send({
      operation: 'buckets.insert',
      method: 'POST',
      url: this.#url('storage/v1/b', { project }),
      ...jsonBody({ name: this.name, ...(settings as object) }),
      ...rest,
    });
  }

  get #inPath(): string {
    return encodeURIComponent(this.name);
  }

  #url(path: string, query: Query): URL {
    const url = new URL(this.#endpoint);
    url.pathname = `${url.pathname.replace(/\/$/, '')}/${path}`;
    for (const [key, value] of Object.entries(query)) {
      if (value === undefined) continue;
      for (const one of typeof value === 'string' ? [value] : value) url.searchParams.append(key, one);
    }
    return url;
  }
}

export function jsonBody(value: unknown): Pick<HttpRequest, 'headers' | 'body'> {
  return {
    headers: { 'content-type': 'application/json; charset=UTF-8' },
    body: [Buffer.from(JSON.stringify(value))],
  };
}
