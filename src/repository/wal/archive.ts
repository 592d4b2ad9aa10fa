import type { WalArchiveInfo, WalFacts } from '../../contract/wal.ts';
import type { CallContext } from '../model.ts';
import { dropParts } from './drop-parts.ts';
import { listFiles, putFile, readFile } from './files.ts';
import type { WalArchive, WalPut, WalPutContext, WalRun, WalStretch } from './model.ts';
import { putStretch } from './put.ts';
import { readUnit } from './read-unit.ts';
import { orGone, type WalStore } from './store.ts';
import { joinRuns, listStretches, listTimelines, readFacts, readStretch, unitOf } from './stretches.ts';

interface Range {
  readonly from?: bigint;
  readonly to?: bigint;
}

/** A {@link WalArchive} whose objects lie in a storage. */
export class StoredWalArchive implements WalArchive {
  readonly id: string;
  readonly info: WalArchiveInfo;
  readonly unitBytes: number;
  readonly isReadable = true;
  readonly #store: WalStore;

  constructor(store: WalStore) {
    this.id = store.id;
    this.info = store.info;
    this.unitBytes = store.unitBytes;
    this.#store = store;
  }

  async put(
    stretch: { readonly timeline: number; readonly start: bigint; readonly bytes: Uint8Array },
    facts: WalFacts,
    context: WalPutContext = {},
  ): Promise<WalPut> {
    return await putStretch(this.#store, stretch, facts, context);
  }

  async putFile(name: string, bytes: Uint8Array, context: CallContext = {}): Promise<WalPut> {
    return await putFile(this.#store, name, bytes, context.signal);
  }

  async getFile(name: string, context: CallContext = {}): Promise<Uint8Array | undefined> {
    return await orGone(readFile(this.#store, name, context.signal));
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

  async read(stretch: WalStretch, context: CallContext = {}): Promise<Uint8Array> {
    return await readStretch(this.#store, stretch, context.signal);
  }

  async facts(stretch: WalStretch, context: CallContext = {}): Promise<WalFacts> {
    return await readFacts(this.#store, stretch, context.signal);
  }

  async readUnit(timeline: number, unitStart: bigint, context: CallContext = {}): Promise<Uint8Array> {
    return await readUnit(this.#store, timeline, this.#checked(unitStart), context.signal);
  }

  async dropParts(timeline: number, unitStart: bigint, context: CallContext = {}): Promise<void> {
    await dropParts(this.#store, timeline, this.#checked(unitStart), context.signal);
  }

  #checked(unitStart: bigint): bigint {
    if (unitOf(this.#store, unitStart) === unitStart) return unitStart;
    throw new RangeError(`no unit of WAL begins at ${unitStart}`);
  }
}
