import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { systemClock } from '../../src/kernel/clock.ts';
import { silentLogger } from '../../src/kernel/log.ts';
import type { StreamPosition, StreamTold } from '../../src/operations/wal/stream-told.ts';
import { streamWal, type StreamOptions, type StreamOutcome } from '../../src/operations/wal/stream.ts';
import { connectionFromUrl } from '../../src/postgres/connection/connection.ts';
import { formatLsn, lsnOf, parseLsn, zeroLsn, type Lsn } from '../../src/postgres/lsn.ts';
import { parseWalFileName, segmentStart } from '../../src/postgres/wal/names.ts';
import { WalRecordReader } from '../../src/postgres/wal/reader.ts';
import { decodeRecord, isDecoded } from '../../src/postgres/wal/transactions.ts';
import type { Repository } from '../../src/repository/repository.ts';
import type { WalArchive } from '../../src/repository/wal/model.ts';
import type { PostgresServer } from '../../testing/postgres-server.ts';
import { until } from '../../testing/until.ts';

export const slot = 'holdfast_main';
const mib = 1024 * 1024;

/** A stream in this process, with all that it told. */
export class RunningStream {
  readonly told: StreamTold[] = [];
  readonly done: Promise<StreamOutcome>;
  position: StreamPosition | undefined;
  isOver = false;
  readonly #stop = new AbortController();

  constructor(server: { url(): string }, repository: Repository, options: Partial<StreamOptions> = {}) {
    this.done = streamWal(
      {
        source: 'main',
        connection: connectionFromUrl(server.url(), {}),
        slot,
        createSlot: true,
        synchronous: false,
        intervalMs: 100,
        waitingLimitBytes: 1024 * mib,
        once: false,
        openArchive: (info) => repository.walArchive(info),
        askSlot: () => Promise.resolve(undefined),
        ...options,
      },
      {
        clock: systemClock,
        random: () => 0,
        log: silentLogger,
        observer: {
          told: (told) => this.told.push(told),
          position: (position) => {
            this.position = position;
          },
        },
        stop: this.#stop.signal,
      },
    );
    this.done.then(
      () => (this.isOver = true),
      () => (this.isOver = true),
    );
  }

  states(): string[] {
    return this.told.map(({ state }) => state);
  }

  async sees(state: StreamTold['state'], times = 1): Promise<StreamTold> {
    await until(() => {
      if (this.isOver) throw new Error(`it ended without ${state}: ${this.states().join(' ')}`);
      return this.told.filter((told) => told.state === state).length >= times;
    }, `${state} ${times} times`);
    const found = this.told.findLast((told) => told.state === state);
    assert.ok(found);
    return found;
  }

  /** Until all is stored that the server has written by now. */
  async catchesUp(server: PostgresServer): Promise<Lsn> {
    const target = await flushedTo(server);
    await until(async () => {
      if (this.isOver) await this.done.then(() => Promise.reject(new Error('the stream has ended')));
      return this.position !== undefined && this.position.stored >= target;
    }, `the stream to be at ${target}`);
    return target;
  }

  async stop(): Promise<StreamOutcome> {
    this.#stop.abort(new Error('the test ends it'));
    return await this.done;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop().catch(() => undefined);
  }
}

export async function flushedTo(server: PostgresServer): Promise<Lsn> {
  return lsnIn(await server.psql('SELECT pg_current_wal_flush_lsn()'));
}

export function lsnIn(text: string): Lsn {
  const lsn = parseLsn(text);
  assert.ok(lsn !== undefined, `${text} is no position`);
  return lsn;
}

export async function theArchive(repository: Repository): Promise<WalArchive> {
  const [archive, second] = await Array.fromAsync(repository.walArchives());
  assert.ok(archive !== undefined && second === undefined);
  return archive;
}

/** Everything of a timeline that is stored, and has no gap. */
export async function theRun(archive: WalArchive, timeline = 1): Promise<{ start: Lsn; end: Lsn }> {
  const runs = await archive.runs(timeline);
  assert.equal(runs.length, 1, `runs of timeline ${timeline}: ${runs.length}`);
  return { start: lsnOf(runs[0]?.start ?? 0n), end: lsnOf(runs[0]?.end ?? 0n) };
}

/** Compares what is stored with the files that the server has still; answers how many bytes that were. */
export async function compareWithFiles(archive: WalArchive, server: PostgresServer): Promise<number> {
  const directory = join(server.dataDirectory, 'pg_wal');
  let compared = 0;
  for (const name of await readdir(directory)) {
    const parsed = parseWalFileName(name);
    if (parsed?.kind !== 'segment') continue;
    const start = segmentStart(parsed, archive.info.segment_bytes);
    assert.ok(start !== undefined);
    const stored = await archive.readUnit(parsed.timeline, start);
    const file = await readFile(join(directory, name));
    assert.equal(Buffer.compare(stored, file.subarray(0, stored.length)), 0, `${name} differs`);
    compared += stored.length;
  }
  return compared;
}

/** Transactions whose commits are stored. */
export async function storedCommits(archive: WalArchive, timeline = 1): Promise<Set<number>> {
  const found = new Set<number>();
  for (const run of await archive.runs(timeline)) {
    const start = lsnOf(run.start);
    const { segment_bytes: segmentBytes } = archive.info;
    const reader = new WalRecordReader({ start, wants: isDecoded, segmentBytes });
    for (let at = run.start; at < run.end; at += BigInt(archive.unitBytes)) {
      reader.add(await archive.readUnit(timeline, at), (record) => {
        const event = decodeRecord(record);
        if (event?.kind === 'commit') found.add(event.xid);
      });
      const { stopped } = reader;
      assert.ok(
        stopped === undefined,
        `the WAL ends at ${formatLsn(stopped?.at ?? zeroLsn)}: ${stopped?.reason}`,
      );
    }
  }
  return found;
}
