import { openConfiguredRepository, withApp, type App } from '../app/compose.ts';
import { backupDetails } from '../app/info.ts';
import type { Manifest } from '../contract/manifest.ts';
import type { Entry } from '../contract/stream.ts';
import { asFailure, failure } from '../kernel/errors/failure.ts';
import { entryKinds } from '../sources/files/metadata.ts';
import type { Repository } from '../repository/repository.ts';
import { call, interruption } from './call.ts';
import { cleanOldBackups, createBackup, listBackups, restoreBackup, verifyBackup } from './calls.ts';
import { checkOptions } from './check-options.ts';
import type { HoldfastRepository } from './handle.ts';
import type {
  BackupOptions,
  CleanOptions,
  CallOptions,
  ListOptions,
  RestoreOptions,
  SignalOption,
  VerifyOptions,
  Within,
} from './options.ts';
import type {
  BackupDetails,
  BackupEntry,
  BackupResult,
  CleanResult,
  ListResult,
  RestoreResult,
  VerifyResult,
} from './results.ts';

/** Another name of a file that is in the same backup. */
const { hardlink } = entryKinds;

/** Resolves when the repository is open. The use case behind it goes on until the handle is closed. */
export async function openRepository(options: CallOptions): Promise<HoldfastRepository> {
  checkOptions('openRepository', options);
  const opened = Promise.withResolvers<OpenRepository>();
  const closed = Promise.withResolvers<void>();
  const running = call(options, ['openRepository'], (common, context) =>
    withApp(common, context, null, async (app) => {
      await using repository = await openConfiguredRepository(app);
      app.signal.throwIfAborted();
      await using readers = new Readers(repository, app.signal);
      opened.resolve(
        new OpenRepository({ options, app, repository, readers, close: () => closed.resolve() }),
      );
      await closed.promise;
      return { schema: 1, ok: true };
    }),
  );
  running.catch((error: unknown) => opened.reject(error));
  const handle = await opened.promise;
  handle.ended = running;
  return handle;
}

interface HandleParts {
  readonly options: CallOptions;
  readonly app: App;
  readonly repository: Repository;
  readonly readers: Readers;
  readonly close: () => void;
}

class OpenRepository implements HoldfastRepository {
  readonly id: string;
  readonly location: string;
  readonly encrypted: boolean;
  /** Settles when everything is closed. */
  ended: Promise<unknown> = Promise.resolve();
  readonly #parts: HandleParts;
  #closed = false;

  constructor(parts: HandleParts) {
    const { info, storage } = parts.repository;
    this.id = info.id;
    this.location = storage.location;
    this.encrypted = info.encrypted;
    this.#parts = parts;
  }

  async list(options: Within<ListOptions> = {}): Promise<ListResult> {
    this.#requireOpen();
    return await listBackups(this.#with(options));
  }

  async backup(options: Within<BackupOptions> = {}): Promise<BackupResult> {
    this.#requireOpen();
    return await createBackup(this.#with(options));
  }

  async restore(options: Within<RestoreOptions>): Promise<RestoreResult> {
    this.#requireOpen();
    return await restoreBackup(this.#with(options));
  }

  async verify(options: Within<VerifyOptions> = {}): Promise<VerifyResult> {
    this.#requireOpen();
    return await verifyBackup(this.#with(options));
  }

  async clean(options: Within<CleanOptions> = {}): Promise<CleanResult> {
    this.#requireOpen();
    return await cleanOldBackups(this.#with(options));
  }

  async info(id: string, { signal }: SignalOption = {}): Promise<BackupDetails> {
    try {
      const { repository } = this.#parts;
      const ended = this.#signal(signal);
      return await backupDetails(repository, await repository.find(id, { signal: ended }), ended);
    } catch (error) {
      throw this.#errorFor(error, signal);
    }
  }

  async *entries(id: string, { signal }: SignalOption = {}): AsyncGenerator<BackupEntry, void, void> {
    try {
      for await (const { path, kind, stream, meta } of this.#entries(id, this.#signal(signal)))
        yield { path, kind, bytes: stream?.size_bytes ?? 0, meta };
    } catch (error) {
      throw this.#errorFor(error, signal);
    }
  }

  async *read(
    id: string,
    path: string,
    { signal }: SignalOption = {},
  ): AsyncGenerator<Uint8Array, void, void> {
    try {
      yield* this.#read(id, path, this.#signal(signal));
    } catch (error) {
      throw this.#errorFor(error, signal);
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#parts.close();
    await this.ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async *#entries(id: string, signal: AbortSignal): AsyncGenerator<Entry, void, void> {
    const manifest = await this.#parts.repository.find(id, { signal });
    const reader = await this.#parts.readers.for(manifest);
    for await (const entry of reader.entries(manifest, { signal })) {
      this.#requireOpen();
      yield entry;
    }
  }

  async *#read(id: string, path: string, signal: AbortSignal): AsyncGenerator<Uint8Array, void, void> {
    const manifest = await this.#parts.repository.find(id, { signal });
    const reader = await this.#parts.readers.for(manifest);
    for await (const entry of reader.entries(manifest, { signal })) {
      if (entry.path !== path) continue;
      const { target } = entry.meta;
      if (entry.kind === hardlink && typeof target === 'string') {
        yield* this.#read(manifest.id, target, signal);
        return;
      }
      if (entry.stream === null) {
        const reason = `${path} of backup ${manifest.id.slice(0, 8)} has no content of its own`;
        throw failure('usage', { reason, suggestion: 'read one of the entries whose bytes are not 0' });
      }
      for await (const piece of reader.open(entry.stream, { signal })) {
        this.#requireOpen();
        // A copy: the same chunk may come once more, from the same memory, and the caller may write into this one.
        yield new Uint8Array(piece);
      }
      return;
    }
    throw failure('restore_selects_nothing', { only: path, suggestion: '' });
  }

  #with<T>(options: T): T & CallOptions {
    const { signal } = this.#parts.options;
    const own = (options as SignalOption).signal;
    const both = signal !== undefined && own !== undefined ? AbortSignal.any([signal, own]) : (own ?? signal);
    return { ...this.#parts.options, ...options, signal: both };
  }

  #signal(own: AbortSignal | undefined): AbortSignal {
    this.#requireOpen();
    const { signal } = this.#parts.app;
    return own === undefined ? signal : AbortSignal.any([signal, own]);
  }

  #requireOpen(): void {
    if (this.#closed)
      throw failure('usage', { reason: 'the repository was closed', suggestion: 'open it again' });
  }

  /** What a caller is to see: once closed or aborted, whatever broke because of that is not the reason. */
  #errorFor(error: unknown, own: AbortSignal | undefined): unknown {
    this.#requireOpen();
    const { signal } = this.#parts.app;
    if (signal.aborted) return asFailure(signal.reason);
    return own?.aborted === true ? interruption(own.reason) : asFailure(error);
  }
}

/**
 * The repository as it is when a backup is first asked for: its index is brought up to date once. It is opened anew for
 * backups made since then.
 */
class Readers implements AsyncDisposable {
  readonly #repository: Repository;
  readonly #signal: AbortSignal;
  readonly #opened = new AsyncDisposableStack();
  #newest: Promise<Reader>;

  constructor(repository: Repository, signal: AbortSignal) {
    this.#repository = repository;
    this.#signal = signal;
    this.#newest = Promise.resolve({ repository, knows: new Set() });
  }

  async for({ id }: Manifest): Promise<Repository> {
    this.#newest = this.#newest.then(
      (newest) => (newest.knows.has(id) ? newest : this.#open()),
      () => this.#open(),
    );
    return (await this.#newest).repository;
  }

  async #open(): Promise<Reader> {
    const signal = this.#signal;
    // Listed before the index is read, so that all that is listed is in the index.
    const names = await this.#repository.names({ signal });
    const repository = this.#opened.use(this.#repository.sibling());
    await repository.cache(signal);
    return { repository, knows: new Set(names.map(({ id }) => id)) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#opened.disposeAsync();
  }
}

interface Reader {
  readonly repository: Repository;
  /** Ids of the backups that were there before its index was read. */
  readonly knows: ReadonlySet<string>;
}
