import { createHash } from 'node:crypto';
import {
  onlyParameters,
  pickFields,
  rangeOf,
  readMultipart,
  Refusal,
  type Answer,
  type Received,
} from './google-protocol.ts';
import { GoogleServer } from './google-server.ts';
import { UploadSessions } from './google-sessions.ts';

export interface StoredGsObject {
  readonly bytes: Buffer;
  readonly timeCreated: string;
  readonly generation: string;
  readonly contentType: string;
  readonly storageClass: string;
  /** Composed objects have no MD5. */
  readonly isComposed?: boolean;
}

const everything = ['create', 'get', 'list', 'delete'].map((verb) => `storage.objects.${verb}`);

/** The parts of the Cloud Storage JSON API that a repository needs, by its documents, with what it does not know refused. */
export class GcsServer extends GoogleServer {
  readonly buckets = new Map<string, Map<string, StoredGsObject>>();
  readonly bucketSettings = new Map<string, Readonly<Record<string, unknown>>>();
  readonly uploads = new UploadSessions();
  readonly granted = new Set<string>(everything);
  /** Objects that a retention policy protects. */
  readonly held = new Set<string>();
  /** Entries of a page; the service's 1000 unless set. */
  pageObjects = 1000;
  #generation = 1_700_000_000_000_000;
  protected override readonly scopes = [
    'https://www.googleapis.com/auth/devstorage.read_write',
    'https://www.googleapis.com/auth/devstorage.full_control',
    'https://www.googleapis.com/auth/cloud-platform',
  ];

  private constructor() {
    super();
  }

  /** With one empty bucket called `shop`. */
  static async start(): Promise<GcsServer> {
    const server = new GcsServer();
    await server.listen();
    server.buckets.set('shop', new Map());
    return server;
  }

  /** The objects of the bucket `shop`. */
  get objects(): Map<string, StoredGsObject> {
    return this.#bucket('shop');
  }

  protected override isSession({ query, method }: Received): boolean {
    return query.has('upload_id') && (method === 'PUT' || method === 'DELETE');
  }

  protected override torn(request: Received, received: Buffer): void {
    this.uploads.torn(request, received);
  }

  protected override handle(request: Received, who: string): Answer {
    const { method, path } = request;
    const [, bucket = '', key] = /^\/(?:upload\/)?storage\/v1\/b\/([^/]+)\/o(?:\/([^/]+))?$/.exec(path) ?? [];
    if (path.startsWith('/upload/')) return this.#upload(request, bucket, who);
    if (method === 'POST' && path === '/storage/v1/b') return this.#createBucket(request, who);
    const [, tested] = /^\/storage\/v1\/b\/([^/]+)\/iam\/testPermissions$/.exec(path) ?? [];
    if (method === 'GET' && tested !== undefined) return this.#testPermissions(request, tested);
    if (bucket === '') throw new Refusal(404, 'notFound', 'Not Found');
    const name = key === undefined ? undefined : decodeURIComponent(key);
    if (method === 'GET' && name === undefined) return this.#list(request, bucket, who);
    if (method === 'GET' && name !== undefined) return this.#get(request, bucket, name, who);
    if (method === 'DELETE' && name !== undefined) return this.#delete(request, bucket, name, who);
    throw new Refusal(405, 'httpMethodNotAllowed', method);
  }

  #bucket(name: string): Map<string, StoredGsObject> {
    const bucket = this.buckets.get(name);
    if (bucket === undefined) throw new Refusal(404, 'notFound', 'The specified bucket does not exist.');
    return bucket;
  }

  #allow(permission: string, who: string): void {
    if (this.granted.has(permission)) return;
    const words = `${who} does not have ${permission} access to the Google Cloud Storage object. Permission '${permission}' denied on resource (or it may not exist).`;
    throw new Refusal(403, 'forbidden', words);
  }

  #upload(request: Received, bucketName: string, who: string): Answer {
    const { method, query } = request;
    if (method === 'PUT' && this.isSession(request)) {
      return this.uploads.put(request, ({ metadata, query: asked, bytes }) =>
        this.#insert(bucketName, metadata, bytes, asked),
      );
    }
    if (method === 'DELETE' && this.isSession(request)) return this.uploads.cancel(request);
    if (method !== 'POST') throw new Refusal(405, 'httpMethodNotAllowed', method);
    onlyParameters(request, ['uploadType', 'ifGenerationMatch', 'fields']);
    this.#allow('storage.objects.create', who);
    this.#bucket(bucketName);
    if (query.get('uploadType') === 'multipart') {
      const { metadata, bytes } = readMultipart(request);
      return this.#insert(bucketName, metadata as Readonly<Record<string, unknown>>, bytes, query);
    }
    if (query.get('uploadType') !== 'resumable') throw new Refusal(400, 'invalidParameter', 'uploadType');
    return this.uploads.begin(request, `${this.url}${request.path}?uploadType=resumable`);
  }

  #insert(
    bucketName: string,
    metadata: Readonly<Record<string, unknown>>,
    bytes: Buffer,
    query: URLSearchParams,
  ): Answer {
    const bucket = this.#bucket(bucketName);
    const { name, md5Hash, contentType, storageClass = 'STANDARD', ...others } = metadata;
    if (typeof name !== 'string' || name === '' || Buffer.byteLength(name) > 1024)
      throw new Refusal(400, 'required', 'Required');
    if (Object.keys(others).length > 0)
      throw new Refusal(400, 'invalid', `unknown: ${Object.keys(others).join()}`);
    if (query.get('ifGenerationMatch') === '0' && bucket.has(name))
      throw new Refusal(
        412,
        'conditionNotMet',
        'At least one of the pre-conditions you specified did not hold.',
      );
    if (md5Hash !== undefined && md5Hash !== md5(bytes))
      throw new Refusal(
        400,
        'invalid',
        `Provided MD5 hash doesn't match calculated MD5 hash "${md5(bytes)}".`,
      );
    this.#generation += 1;
    const object: StoredGsObject = {
      bytes: Buffer.from(bytes),
      timeCreated: new Date().toISOString(),
      generation: String(this.#generation),
      contentType: String(contentType),
      storageClass: String(storageClass),
    };
    bucket.set(name, object);
    return { status: 200, body: pickFields(resource(name, object), query.get('fields')) };
  }

  #list(request: Received, bucketName: string, who: string): Answer {
    onlyParameters(request, ['prefix', 'delimiter', 'startOffset', 'pageToken', 'maxResults', 'fields']);
    this.#allow('storage.objects.list', who);
    const { query } = request;
    const bucket = this.#bucket(bucketName);
    const prefix = query.get('prefix') ?? '';
    const delimiter = query.get('delimiter');
    const from = query.get('startOffset') ?? '';
    const token = query.get('pageToken');
    const after = token === null ? undefined : Buffer.from(token, 'base64').toString();
    const limit = Math.min(Number(query.get('maxResults') ?? 1000), this.pageObjects);
    const names = [...bucket.keys()]
      .filter((name) => name.startsWith(prefix) && Buffer.compare(Buffer.from(name), Buffer.from(from)) >= 0)
      .toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
    const shown = [...new Set(names.map((name) => foldedAt(name, prefix, delimiter)))];
    const rest = shown.filter(
      (name) => after === undefined || Buffer.compare(Buffer.from(name), Buffer.from(after)) > 0,
    );
    const page = rest.slice(0, limit);
    const items = page.flatMap((name) => {
      const object = bucket.get(name);
      return object === undefined ? [] : [resource(name, object)];
    });
    const prefixes = page.filter((name) => !bucket.has(name));
    const body = {
      kind: 'storage#objects',
      ...(rest.length > limit ? { nextPageToken: Buffer.from(page.at(-1) ?? '').toString('base64') } : {}),
      ...(items.length > 0 ? { items } : {}),
      ...(prefixes.length > 0 ? { prefixes } : {}),
    };
    return { status: 200, body: pickFields(body, query.get('fields')) };
  }

  #get(request: Received, bucketName: string, name: string, who: string): Answer {
    onlyParameters(request, ['alt', 'fields']);
    this.#allow('storage.objects.get', who);
    const object = this.#bucket(bucketName).get(name);
    if (object === undefined) throw new Refusal(404, 'notFound', `No such object: ${bucketName}/${name}`);
    if (request.query.get('alt') !== 'media')
      return { status: 200, body: pickFields(resource(name, object), request.query.get('fields')) };
    const { bytes } = object;
    const range = rangeOf(request.headers.range, bytes.byteLength);
    if (range === 'none')
      throw new Refusal(416, 'requestedRangeNotSatisfiable', 'Request range not satisfiable');
    const hash = object.isComposed === true ? 'crc32c=AAAAAA==' : `crc32c=AAAAAA==,md5=${md5(bytes)}`;
    if (range === 'whole') return { status: 200, headers: { 'x-goog-hash': hash }, body: bytes };
    const { start, end } = range;
    return {
      status: 206,
      headers: { 'x-goog-hash': hash, 'content-range': `bytes ${start}-${end - 1}/${bytes.byteLength}` },
      body: bytes.subarray(start, end),
    };
  }

  #delete(request: Received, bucketName: string, name: string, who: string): Answer {
    onlyParameters(request, []);
    this.#allow('storage.objects.delete', who);
    const bucket = this.#bucket(bucketName);
    if (!bucket.has(name)) throw new Refusal(404, 'notFound', `No such object: ${bucketName}/${name}`);
    if (this.held.has(name))
      throw new Refusal(
        403,
        'retentionPolicyNotMet',
        `Object '${bucketName}/${name}' is subject to bucket's retention policy and cannot be deleted until 2031-01-01`,
      );
    bucket.delete(name);
    return { status: 204 };
  }

  #testPermissions(request: Received, bucketName: string): Answer {
    this.#bucket(bucketName);
    const permissions = request.query.getAll('permissions').filter((one) => this.granted.has(one));
    return { status: 200, body: { kind: 'storage#testIamPermissionsResponse', permissions } };
  }

  #createBucket(request: Received, who: string): Answer {
    onlyParameters(request, ['project']);
    this.#allow('storage.buckets.create', who);
    if (!request.query.get('project')) throw new Refusal(400, 'required', 'Required parameter: project');
    const settings = JSON.parse(request.body.toString()) as Readonly<Record<string, unknown>>;
    const name = String(settings['name']);
    if (this.buckets.has(name))
      throw new Refusal(409, 'conflict', 'The requested bucket name is not available.');
    this.buckets.set(name, new Map());
    this.bucketSettings.set(name, { ...settings, project: request.query.get('project') });
    return { status: 200, body: { kind: 'storage#bucket', name } };
  }
}

function foldedAt(name: string, prefix: string, delimiter: string | null): string {
  if (delimiter === null) return name;
  const at = name.indexOf(delimiter, prefix.length);
  return at === -1 ? name : name.slice(0, at + delimiter.length);
}

function resource(name: string, object: StoredGsObject): object {
  const { bytes, timeCreated, generation, contentType, storageClass } = object;
  return {
    kind: 'storage#object',
    name,
    size: String(bytes.byteLength),
    timeCreated,
    updated: timeCreated,
    generation,
    contentType,
    storageClass,
    ...(object.isComposed === true ? {} : { md5Hash: md5(bytes) }),
  };
}

function md5(bytes: Uint8Array): string {
  return createHash('md5').update(bytes).digest('base64');
}
