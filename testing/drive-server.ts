import { createHash, randomBytes } from 'node:crypto';
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
import { conditionsOf, type StoredDriveFile } from './drive-query.ts';

const folderType = 'application/vnd.google-apps.folder';
const mostAtOnce = 5 * 1024 * 1024;
const common = ['supportsAllDrives', 'fields'];
const createParameters = [...common, 'uploadType', 'ignoreDefaultVisibility'];

type Metadata = Readonly<Record<string, unknown>>;

/** The parts of the Drive API (version 3) that a repository needs, by its documents, with what it does not know refused. */
export class DriveServer extends GoogleServer {
  readonly files = new Map<string, StoredDriveFile>();
  readonly uploads = new UploadSessions();
  /** How many searches it takes until one shows what was made, and does not show any more what was removed. */
  searchLag = 0;
  /** Entries of a page; the service's 1000 unless set. */
  pageFiles = 1000;
  /** Says that a search did not look everywhere. */
  isSearchIncomplete = false;
  searches = 0;
  readonly #ids = new Set<string>();
  readonly #gone = new Map<string, StoredDriveFile>();
  #lastCreatedMs = 0;
  protected override readonly scopes = [
    'https://www.googleapis.com/auth/drive',
    'https://www.googleapis.com/auth/drive.file',
  ];

  private constructor() {
    super();
  }

  /** With one empty folder, `backups-folder`, at the top of the user's drive. */
  static async start(): Promise<DriveServer> {
    const server = new DriveServer();
    await server.listen();
    server.place({ id: 'backups-folder', name: 'Backups', mimeType: folderType });
    return server;
  }

  /** Puts a file there as another program would. */
  place(file: Partial<StoredDriveFile> & Pick<StoredDriveFile, 'id' | 'name'>): StoredDriveFile {
    const placed = {
      mimeType: 'application/octet-stream',
      parents: ['root'],
      properties: {},
      bytes: Buffer.alloc(0),
      createdAtMs: this.#now(),
      trashed: false,
      shownFrom: 0,
      hiddenFrom: Infinity,
      ...file,
    };
    this.files.set(placed.id, placed);
    return placed;
  }

  /** Files of that name, in whatever folder. */
  called(name: string): StoredDriveFile[] {
    return [...this.files.values()].filter((file) => file.name === name);
  }

  protected override isSession({ query, method }: Received): boolean {
    return query.has('upload_id') && method === 'PUT';
  }

  protected override torn(request: Received, received: Buffer): void {
    this.uploads.torn(request, received);
  }

  protected override handle(request: Received): Answer {
    const { method, path, query } = request;
    if (path === '/upload/drive/v3/files') return this.#upload(request);
    const [, id] = /^\/drive\/v3\/files\/([\w-]+)$/.exec(path) ?? [];
    if (method === 'GET' && id === 'generateIds') return this.#generateIds(request);
    if (path !== '/drive/v3/files' && id === undefined) throw new Refusal(404, 'notFound', 'Not Found');
    if (query.get('supportsAllDrives') !== 'true') throw new Refusal(400, 'badRequest', 'supportsAllDrives');
    if (method === 'GET' && id === undefined) return this.#search(request);
    if (method === 'GET' && id !== undefined) return this.#get(request, id);
    if (method === 'DELETE' && id !== undefined) return this.#delete(request, id);
    if (method === 'POST' && id === undefined) return this.#createFolder(request);
    throw new Refusal(405, 'httpMethodNotAllowed', method);
  }

  #find(id: string): StoredDriveFile {
    const file = this.files.get(id);
    if (file === undefined) throw new Refusal(404, 'notFound', `File not found: ${id}.`);
    return file;
  }

  /** Never the same twice, so that the order in which files were made is the order of their times. */
  #now(): number {
    this.#lastCreatedMs = Math.max(Date.now(), this.#lastCreatedMs + 1);
    return this.#lastCreatedMs;
  }

  #generateIds(request: Received): Answer {
    onlyParameters(request, ['count', 'space', 'type', 'fields']);
    const count = Number(request.query.get('count') ?? 10);
    if (!(count >= 1 && count <= 1000)) throw new Refusal(400, 'invalidParameter', 'count');
    const ids = Array.from({ length: count }, () => `1${randomBytes(24).toString('base64url')}`);
    for (const id of ids) this.#ids.add(id);
    return { status: 200, body: { kind: 'drive#generatedIds', space: 'drive', ids } };
  }

  #upload(request: Received): Answer {
    const { method, query } = request;
    if (this.isSession(request))
      return this.uploads.put(request, ({ metadata, bytes, query: asked }) =>
        this.#create(metadata, bytes, asked),
      );
    if (method !== 'POST') throw new Refusal(405, 'httpMethodNotAllowed', method);
    onlyParameters(request, createParameters);
    if (query.get('supportsAllDrives') !== 'true') throw new Refusal(400, 'badRequest', 'supportsAllDrives');
    if (query.get('uploadType') === 'multipart') {
      const { metadata, bytes } = readMultipart(request);
      if (bytes.byteLength > mostAtOnce) throw new Refusal(413, 'uploadTooLarge', 'Request is too large.');
      return this.#create(metadata as Metadata, bytes, query);
    }
    if (query.get('uploadType') !== 'resumable') throw new Refusal(400, 'invalidParameter', 'uploadType');
    return this.uploads.begin(request, `${this.url}/upload/drive/v3/files?uploadType=resumable`);
  }

  #createFolder(request: Received): Answer {
    onlyParameters(request, common);
    if (!String(request.headers['content-type']).startsWith('application/json'))
      throw new Refusal(400, 'badContent', 'content-type');
    const metadata = JSON.parse(request.body.toString()) as Metadata;
    if (metadata['mimeType'] !== folderType)
      throw new Refusal(400, 'badRequest', 'only folders have no content');
    return this.#create(metadata, Buffer.alloc(0), request.query);
  }

  #create(metadata: Metadata, bytes: Buffer, query: URLSearchParams): Answer {
    const { id = this.#anyId(), name, mimeType, parents, properties = {}, ...others } = metadata;
    if (Object.keys(others).length > 0)
      throw new Refusal(400, 'badRequest', `unknown: ${Object.keys(others).join()}`);
    if (typeof id !== 'string' || typeof name !== 'string' || typeof mimeType !== 'string')
      throw new Refusal(400, 'badRequest', 'Bad Request');
    if (!Array.isArray(parents) || parents.length !== 1) throw new Refusal(400, 'badRequest', 'parents');
    if (this.files.has(id) || this.#gone.has(id))
      throw new Refusal(409, 'fileIdInUse', 'A file already exists with the provided ID.');
    if (!this.#ids.has(id)) throw new Refusal(400, 'invalid', 'The provided file ID is not usable.');
    const [parent] = parents as string[];
    const folder = parent === 'root' ? undefined : this.#find(String(parent));
    for (const [key, value] of Object.entries(properties as Record<string, string>)) {
      if (Buffer.byteLength(key) + Buffer.byteLength(value) > 124)
        throw new Refusal(400, 'propertyTooLong', 'The key and value of a property exceed 124 bytes');
    }
    const file = this.place({
      id,
      name,
      mimeType,
      parents: [String(parent)],
      properties: properties as Record<string, string>,
      bytes: Buffer.from(bytes),
      shownFrom: this.searches + 1 + this.searchLag,
      ...(folder?.driveId === undefined ? {} : { driveId: folder.driveId }),
    });
    return { status: 200, body: pickFields(resource(file), query.get('fields')) };
  }

  #anyId(): string {
    const id = `1${randomBytes(24).toString('base64url')}`;
    this.#ids.add(id);
    return id;
  }

  #search(request: Received): Answer {
    onlyParameters(request, [
      ...common,
      'q',
      'pageSize',
      'pageToken',
      'includeItemsFromAllDrives',
      'corpora',
      'driveId',
    ]);
    const { query } = request;
    if (query.get('pageToken') === null) this.searches += 1;
    const matches = conditionsOf(query.get('q') ?? '', (id) => this.#isFolder(id));
    const driveId = query.get('driveId') ?? undefined;
    if ((query.get('corpora') === 'drive') !== (driveId !== undefined))
      throw new Refusal(400, 'badRequest', 'corpora and driveId');
    const isShown = (file: StoredDriveFile): boolean =>
      file.shownFrom <= this.searches && this.searches < file.hiddenFrom && file.driveId === driveId;
    // In the order of ids, which is none.
    const found = [...this.files.values(), ...this.#gone.values()]
      .filter((file) => isShown(file) && matches(file))
      .toSorted((a, b) => (a.id < b.id ? -1 : 1));
    const [asked, from] = tokenOf(query.get('pageToken'));
    if (asked !== undefined && asked !== query.get('q')) throw new Refusal(400, 'invalid', 'pageToken');
    const limit = Math.min(Number(query.get('pageSize') ?? 100), this.pageFiles);
    const rest = found.filter(({ id }) => id > from);
    const page = rest.slice(0, limit);
    const token = Buffer.from(JSON.stringify([query.get('q'), page.at(-1)?.id])).toString('base64');
    const body = {
      kind: 'drive#fileList',
      incompleteSearch: this.isSearchIncomplete,
      files: page.map(resource),
      ...(rest.length > limit ? { nextPageToken: token } : {}),
    };
    return { status: 200, body: pickFields(body, query.get('fields')) };
  }

  #isFolder(id: string): boolean {
    return id === 'root' || this.files.get(id)?.mimeType === folderType;
  }

  #get(request: Received, id: string): Answer {
    onlyParameters(request, [...common, 'alt', 'acknowledgeAbuse']);
    const file = this.#find(id);
    if (request.query.get('alt') !== 'media')
      return { status: 200, body: pickFields(resource(file), request.query.get('fields')) };
    if (file.mimeType === folderType)
      throw new Refusal(403, 'fileNotDownloadable', 'Only files with binary content can be downloaded.');
    const range = rangeOf(request.headers.range, file.bytes.byteLength);
    if (range === 'none')
      throw new Refusal(416, 'requestedRangeNotSatisfiable', 'Request range not satisfiable');
    if (range === 'whole') return { status: 200, body: file.bytes };
    const { start, end } = range;
    return {
      status: 206,
      headers: { 'content-range': `bytes ${start}-${end - 1}/${file.bytes.byteLength}` },
      body: file.bytes.subarray(start, end),
    };
  }

  #delete(request: Received, id: string): Answer {
    onlyParameters(request, common);
    const file = this.#find(id);
    this.files.delete(id);
    file.hiddenFrom = this.searches + 1 + this.searchLag;
    this.#gone.set(id, file);
    return { status: 204 };
  }
}

function tokenOf(token: string | null): readonly [query: string | undefined, from: string] {
  if (token === null) return [undefined, ''];
  return JSON.parse(Buffer.from(token, 'base64').toString()) as [string, string];
}

function resource(file: StoredDriveFile): object {
  const { id, name, mimeType, parents, properties, bytes, trashed, driveId, createdAtMs } = file;
  const isFolder = mimeType === folderType;
  return {
    kind: 'drive#file',
    id,
    name,
    mimeType,
    parents,
    trashed,
    createdTime: new Date(createdAtMs).toISOString(),
    ...(Object.keys(properties).length > 0 ? { properties } : {}),
    ...(driveId === undefined ? {} : { driveId }),
    ...(isFolder
      ? {}
      : { size: String(bytes.byteLength), md5Checksum: createHash('md5').update(bytes).digest('hex') }),
  };
}
