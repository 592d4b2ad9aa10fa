import { hash } from 'node:crypto';
import { walArchiveSchema, type WalArchiveInfo, type WalFacts } from '../../contract/wal.ts';
import type { Clock } from '../../kernel/clock.ts';
import { failure, isFailure } from '../../kernel/errors/failure.ts';
import { formatLsn, lsnOf } from '../../postgres/lsn.ts';
import { isSegmentSize } from '../../postgres/wal/names.ts';
import { sizeOf } from '../../storage/parts.ts';
import type { CallContext } from '../model.ts';
import { walAboutObject } from '../layout.ts';
import { sealObject } from '../sealed-object.ts';
import { walArchiveId, walStoreOf, type WalPlaces } from '../wal/archives.ts';
import { fileObject, listFiles } from '../wal/files.ts';
import type { WalArchive, WalPut, WalPutContext, WalRun, WalStretch } from '../wal/model.ts';
import { encodeWalObject } from '../wal/object.ts';
import { draftOf } from '../wal/put.ts';
import type { WalStore } from '../wal/store.ts';
import { encodeStretch, joinRuns, listStretches, listTimelines } from '../wal/stretches.ts';
import type { WalMemory } from './wal-memory.ts';

type Range = NonNullable<Parameters<WalArchive['stretches']>[1]>;

/**
 * Opens the archive of a cluster for adding to it, or makes it. That it is there is seen by a listing; what it says of
 * itself goes by what the server says, for its id comes from the same.
 */
export async function openArchiveAsAgent(
  places: WalPlaces,
  wanted: Omit<WalArchiveInfo, 'created_at'>,
  {
    clock,
    memory,
    signal,
  }: { clock: Pick<Clock, 'now'>; memory: WalMemory; signal: AbortSignal | undefined },
): Promise<WalArchive> {
  if (!isSegmentSize(wanted.segment_bytes))
    throw new RangeError(`segments of WAL cannot have ${wanted.segment_bytes} bytes`);
  const id = walArchiveId(places.keys, wanted);
  const name = walAboutObject(id);
  const info = walArchiveSchema.parse({ ...wanted, created_at: new Date(clock.now()).toISOString() });
  const { storage, keys } = places;
  if ((await listedBytes(places, name, signal)) === undefined) {
    const object = sealObject(keys, 'wal', Buffer.from(JSON.stringify(info)), name);
    await storage.put(name, object, { signal }).catch((error: unknown) => {
      // Somebody else made it at the same moment.
      if (!isFailure(error, 'object_exists')) throw error;
    });
  }
  return new AgentWalArchive(walStoreOf(places, id, info), memory);
}

/**
 * The WAL of a cluster, for who can add to it and read nothing. What was stored from here is remembered here and compared
 * by that; of what others have stored at the same positions under other names nothing is known, and `verify` compares.
 */
class AgentWalArchive implements WalArchive {
  readonly id: string;
  readonly info: WalArchiveInfo;
  readonly unitBytes: number;
  readonly isReadable = false;
  readonly #store: WalStore;
  readonly #memory: WalMemory;

  constructor(store: WalStore, memory: WalMemory) {
    this.id = store.id;
    this.info = store.info;
    this.unitBytes = store.unitBytes;
    this.#store = store;
    this.#memory = memory;
  }

  async put(
    stretch: { readonly timeline: number; readonly start: bigint; readonly bytes: Uint8Array },
    facts: WalFacts,
    { signal, unseen = false }: WalPutContext = {},
  ): Promise<WalPut> {
    const draft = draftOf(this.#store, stretch);
    const { timeline, start, objectName: name } = draft;
    const object = encodeStretch(this.#store, draft, draft.bytes, facts);
    const differs = (): Error => {
      const { source } = this.info;
      return failure('wal_differs', { source, timeline, lsn: formatLsn(lsnOf(start)), name });
    };
    return await this.#put(name, object, draft.bytes, { differs, unseen, signal });
  }

  async putFile(name: string, bytes: Uint8Array, { signal }: CallContext = {}): Promise<WalPut> {
    const objectName = fileObject(this.#store, name);
    const object = encodeWalObject(this.#store.keys, objectName, { file: name, bytes: bytes.length }, bytes);
    const differs = (): Error =>
      failure('wal_file_differs', { file: name, source: this.info.source, name: objectName });
    return await this.#put(objectName, object, bytes, { differs, unseen: false, signal });
  }

  getFile(name: string): Promise<never> {
    return refuse(`read ${name}`);
  }

  files(context: CallContext = {}): AsyncIterable<string> {
    return listFiles(this.#store, context.signal);
  }

  async timelines(context: CallContext = {}): Promise<readonly number[]> {
    return await listTimelines(this.#store, context.signal);
  }

  stretches(timeline: number, range: Range = {}, context: CallContext = {}): AsyncIterable<WalStretch> {
    return listStretches(this.#store, timeline, range, context.signal);
  }

  async runs(timeline: number, range: Range = {}, context: CallContext = {}): Promise<readonly WalRun[]> {
    return await joinRuns(this.stretches(timeline, range, context));
  }

  read(stretch: WalStretch): Promise<never> {
    return refuse(`read ${stretch.objectName}`);
  }

  facts(stretch: WalStretch): Promise<never> {
    return refuse(`read ${stretch.objectName}`);
  }

  readUnit(): Promise<never> {
    return refuse('read WAL');
  }

  /** They stay, until the owner prunes. */
  dropParts(): Promise<void> {
    return Promise.resolve();
  }

  async #put(
    name: string,
    object: readonly Uint8Array[],
    bytes: Uint8Array,
    how: {
      readonly differs: () => Error;
      readonly unseen: boolean;
      readonly signal: AbortSignal | undefined;
    },
  ): Promise<WalPut> {
    const { signal } = how;
    const mine = { digest: hash('sha256', bytes, 'buffer'), storedBytes: sizeOf(object) };
    const compare = (storedBytes: number): WalPut => {
      const known = this.#memory.find(name);
      if (known !== undefined && Buffer.compare(known.digest, mine.digest) !== 0) throw how.differs();
      // The same bytes are sealed to the same size; another size may be another program's doing as well.
      if (storedBytes !== (known?.storedBytes ?? mine.storedBytes))
        throw failure('agent_wal_unknown', { name });
      this.#memory.note(name, { ...mine, storedBytes });
      return 'already_there';
    };
    if (!how.unseen) {
      const there = await listedBytes(this.#store, name, signal);
      if (there !== undefined) return compare(there);
    }
    try {
      await this.#store.storage.put(name, object, { signal });
    } catch (error) {
      if (!isFailure(error, 'object_exists')) throw error;
      const there = await listedBytes(this.#store, name, signal);
      if (there === undefined) throw error;
      return compare(there);
    }
    this.#memory.note(name, mine);
    return 'stored';
  }
}

/** The size of an object, by a listing; undefined when it is not there. */
async function listedBytes(
  { storage }: Pick<WalPlaces, 'storage'>,
  name: string,
  signal: AbortSignal | undefined,
): Promise<number | undefined> {
  for await (const found of storage.list(name, { signal })) if (found.name === name) return found.sizeBytes;
  return undefined;
}

function refuse(what: string): Promise<never> {
  return Promise.reject(failure('agent_cannot', { what }));
}
