import { parentPort, workerData } from 'node:worker_threads';
import { runAgain } from '../kernel/errors/core.ts';
import { failure } from '../kernel/errors/failure.ts';
import { release } from '../kernel/release.ts';
import { BlobHasher, blobTypes } from './blob.ts';
import { BlobSink, type BlobHost, type SinkCounts, type SinkSetup } from './blob-sink.ts';
import { Channel, Moved } from './channel.ts';
import { checkPack, type PackToCheck } from './check-pack.ts';
import { decodeTogether, probeBlobs, type DecodeRequest } from './decode.ts';
import { storeAgain } from './store-again.ts';
import type { FinishedPack } from './pack-builder.ts';
import { ExtentMapWriter, storeWhole } from './map-writer.ts';
import { Promisers } from './promises.ts';
import { storedOver } from './stored.ts';
import { ChunkedStreamWriter, WindowPool } from './stream-writer.ts';
import type { Task, TaskContext } from './task.ts';

export interface RunRequest {
  readonly runId: number;
  readonly url: string;
  readonly exportName: string;
  readonly input: unknown;
}

if (parentPort === null) throw new Error('this module runs in a worker thread');
const setup = workerData as SinkSetup;
const running = new Map<number, AbortController>();

const host: BlobHost = {
  claim: (ids) => channel.call<Uint8Array>('claim', ids),
  storePack: (pack: FinishedPack) =>
    channel.call<ArrayBuffer>('storePack', pack, [pack.buffer, pack.entries.buffer]),
};
const sink = new BlobSink(setup, host);
const windows = new WindowPool(setup.keys.gearTable);
const hasher = new BlobHasher(setup.keys.blobIdKey);
const stored = storedOver(() => channel);
/** Of the sink's new bytes, how many have been told. */
let newBytesTold = 0;

const channel: Channel = new Channel(parentPort, {
  run,
  // What is wrong with it turns up where it is run.
  load: async (url: string): Promise<void> => {
    await import(url).catch(() => undefined);
  },
  abort: (runId: number) =>
    running.get(runId)?.abort(failure('interrupted', { what: 'a task', next: runAgain })),
  flush: async (): Promise<SinkCounts> => {
    await sink.flush();
    return sink.counts;
  },
  decode: (request: DecodeRequest) => {
    const decoded = decodeTogether(setup.keys, request);
    // They came here by themselves, moved or copied.
    release(request.bytes);
    return new Moved(decoded, [decoded.bytes.buffer]);
  },
  storeAgain: async (request: DecodeRequest) => await storeAgain(setup.keys, sink, request),
  probe: (request: DecodeRequest) => probeBlobs(setup.keys, request),
  checkPack: (request: PackToCheck) => checkPack(setup.keys, request),
});

async function run(request: RunRequest): Promise<unknown> {
  const controller = new AbortController();
  running.set(request.runId, controller);
  const { runId } = request;
  const writers = new Promisers();
  let unreported = 0;
  const report = (): void => {
    const bytesNew = sink.counts.bytesNew - newBytesTold;
    if (unreported > 0 || bytesNew > 0) channel.tell('progress', { runId, bytes: unreported, bytesNew });
    unreported = 0;
    newBytesTold += bytesNew;
  };
  const context: TaskContext = {
    signal: controller.signal,
    openStream: (chunking) => writers.add(new ChunkedStreamWriter({ hasher, sink, windows, chunking })),
    openMap: () => writers.add(new ExtentMapWriter(hasher, sink)),
    storeWhole: (contents) => storeWhole(hasher, sink, contents),
    idOf: (raw) => hasher.idOf(blobTypes.data, raw),
    stored,
    progress: (bytes) => {
      unreported += bytes;
      if (unreported >= 4 * 1024 * 1024) report();
    },
    emit: (message) => channel.tell('message', { runId, message }),
  };
  try {
    const module = (await import(request.url)) as Readonly<Record<string, unknown>>;
    const task = module[request.exportName];
    if (typeof task !== 'function') throw new Error(`${request.url} exports no ${request.exportName}`);
    return await (task as Task<unknown, unknown>)(request.input, context);
  } finally {
    // Also when it was aborted: the session may go on without it.
    await writers.keepPromises();
    report();
    running.delete(runId);
  }
}
