import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { getEventListeners } from 'node:events';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { addToLsn, formatLsn, parseLsn, type Lsn } from '../../src/postgres/lsn.ts';
import { startPostgres, type PostgresServer } from '../../testing/postgres-server.ts';
import { lsnNow, readTo, replicate } from '../../testing/replication.ts';
import { proxyTo } from '../../testing/tcp-proxy.ts';
import { until } from '../../testing/until.ts';
import { failing } from './support.ts';

const noise = `INSERT INTO noise SELECT repeat(md5(g::text), 60) FROM generate_series(1, 10000) g`;

describe('a stream from a real server', () => {
  let server: PostgresServer;
  before(async () => {
    server = await startPostgres({
      settings: { wal_keep_size: '512MB', wal_sender_timeout: '1s' },
      initdbArgs: ['--data-checksums'],
    });
    await server.psql('CREATE TABLE noise (t text)');
    await server.psql(noise);
  });
  after(() => server[Symbol.asyncDispose]());

  const through = (port: number): string => server.url().replace(`:${server.port}/`, `:${port}/`);
  const receivers = (): Promise<string> => server.psql('SELECT count(*) FROM pg_stat_replication');

  it('moves the slot to what was reported as flushed, and not beyond', async () => {
    await using replication = await replicate(server.url());
    await replication.createSlot('ours');
    const start = await lsnNow(server);
    await server.psql(noise);
    const end = await lsnNow(server);
    const middle = (start + (end - start) / 2n) as Lsn;
    const restart = (): Promise<string> =>
      server.psql(`SELECT restart_lsn FROM pg_replication_slots WHERE slot_name = 'ours'`);
    const stream = await replication.stream({ slot: 'ours', start, timeline: 1 });
    assert.equal((await readTo(stream, start, end)).length, Number(end - start));
    stream.report({ written: end, flushed: middle, applied: middle });
    await until(async () => (await restart()) === formatLsn(middle), 'the slot to move');
    stream.report({ written: end, flushed: start, applied: start, replyRequested: true });
    assert.equal(
      await server.psql('SELECT write_lsn, flush_lsn, replay_lsn FROM pg_stat_replication'),
      [end, middle, middle].map(formatLsn).join('|'),
    );
    await stream.end();
    assert.equal(await restart(), formatLsn(middle));
    // Again from where we are safe, over a new connection.
    await replication.close();
    await using again = await replicate(server.url());
    const resumed = await again.stream({ slot: 'ours', start: middle, timeline: 1 });
    assert.equal((await readTo(resumed, middle, end)).length, Number(end - middle));
    await resumed.end();
    await again.dropSlot('ours');
  });

  it('is not given up by the server while its reader waits longer than wal_sender_timeout', async () => {
    await using replication = await replicate(server.url());
    const start = await lsnNow(server);
    const stream = await replication.stream({ start, timeline: 1 });
    for (let count = 0; count < 8; count += 1) await server.psql(noise);
    const end = await lsnNow(server);
    const age = `SELECT extract(epoch FROM clock_timestamp() - backend_start) > 3 FROM pg_stat_replication`;
    await until(async () => (await server.psql(age)) === 't', 'three timeouts to pass');
    assert.ok(stream.mostBuffered < 4.5 * 1_048_576);
    assert.equal((await readTo(stream, start, end)).length, Number(end - start));
    await stream.end();
  });

  it('a base backup waits for its reader, who holds few megabytes', async () => {
    await using proxy = await proxyTo(server.port);
    await using replication = await replicate(through(proxy.port));
    const backup = await replication.baseBackup({ label: 'slow', fast: true });
    let bytes = 0;
    for await (const { data } of backup.archives())
      for await (const piece of data) {
        if (bytes === 0) await until(async () => (await waitsFor()) === 'ClientWrite', 'the server to wait');
        bytes += piece.length;
      }
    assert.ok(bytes > 30 * 1_048_576, `${bytes}`);
    assert.ok(backup.mostBuffered < 4.5 * 1_048_576, `${backup.mostBuffered}`);
    assert.ok((await backup.end).lsn > backup.start.lsn);
  });

  const waitsFor = (): Promise<string> =>
    server.psql(`SELECT wait_event FROM pg_stat_activity WHERE backend_type = 'walsender'`);

  it('a reader who passes over data gets all archives and the end; nothing stays behind a close', async () => {
    const { signal } = new AbortController();
    const replication = await replicate(server.url(), { signal });
    const backup = await replication.baseBackup({ label: 'skipped', fast: true });
    let count = 0;
    for await (const { data } of backup.archives()) for await (const _ of data) if ((count += 1) > 3) break;
    assert.ok((await backup.end).lsn > backup.start.lsn);
    assert.equal((await replication.identifySystem()).timeline, 1);
    assert.equal(getEventListeners(signal, 'abort').length, 1);
    await replication.close();
    await replication.close();
    assert.equal(getEventListeners(signal, 'abort').length, 0);
    await until(async () => (await waitsFor()) === '', 'the server to see it');
  });

  it('an abort at any point ends it at once and leaves nothing', { timeout: 60_000 }, async (t) => {
    await using proxy = await proxyTo(server.port);
    const start = await lsnNow(server);
    await server.psql(noise);
    for (let round = 0; round < 16; round += 1) {
      const abort = new AbortController();
      const reason = new Error('enough');
      const point = randomInt(0, 60);
      t.diagnostic(`abort at ${point}`);
      const used = use(through(proxy.port), abort, reason, point, round % 2 === 0 ? start : undefined);
      await assert.rejects(used, (error) => error === reason);
      assert.equal(getEventListeners(abort.signal, 'abort').length, 0);
    }
    await until(() => proxy.open === 0, 'all sockets to close');
    await until(async () => (await receivers()) === '0', 'the server to see it');
  });

  /** A stream from `start`, or a base backup; aborted before it is opened, while it is, or after so many pieces. */
  async function use(
    url: string,
    abort: AbortController,
    reason: Error,
    point: number,
    start: Lsn | undefined,
  ): Promise<void> {
    let left = point;
    const step = (): void => {
      if (left === 0) abort.abort(reason);
      left -= 1;
    };
    const opened = replicate(url, { signal: abort.signal });
    step();
    await using replication = await opened;
    if (start !== undefined) {
      const stream = await replication.stream({ start, timeline: 1 });
      for await (const _ of stream.messages()) step();
      return;
    }
    const backup = await replication.baseBackup({ label: 'aborted', fast: true });
    for await (const { data } of backup.archives()) for await (const _ of data) step();
  }

  it('a network that swallows everything is noticed', async () => {
    await using proxy = await proxyTo(server.port);
    await using replication = await replicate(through(proxy.port));
    const stream = await replication.stream({
      start: await lsnNow(server),
      timeline: 1,
      silentAfterMs: 400,
    });
    proxy.swallow();
    const read = readTo(stream, 0n as Lsn, 0xffff_ffffn as Lsn);
    await assert.rejects(
      read,
      failing('postgres_silent', ({ retryable }) => assert.ok(retryable)),
    );
  });

  it('damaged pages are told behind all the data', async () => {
    await server.psql('CREATE TABLE rotten AS SELECT generate_series(1, 5000) AS id; CHECKPOINT');
    const path = await server.psql(`SELECT pg_relation_filepath('rotten')`);
    const file = await open(join(server.dataDirectory, path), 'r+');
    const good = Buffer.alloc(16);
    await file.read(good, 0, 16, 8192 + 4000);
    await file.write(Buffer.from('something broken'), 0, 16, 8192 + 4000);
    await using replication = await replicate(server.url());
    const backup = await replication.baseBackup({ label: 'rotten', fast: true });
    let bytes = 0;
    for await (const { data } of backup.archives()) for await (const piece of data) bytes += piece.length;
    assert.ok(bytes > 30 * 1_048_576);
    await assert.rejects(
      backup.end,
      failing('base_backup_checksums', (error) => {
        assert.equal(error.kind, 'integrity');
        assert.ok(error.message.includes(path), error.message);
        assert.ok((parseLsn(String(error.details['lsn'])) ?? 0n) > backup.start.lsn);
      }),
    );
    assert.equal((await replication.identifySystem()).timeline, 1);
    const unchecked = await replication.baseBackup({ label: 'x', fast: true, verifyChecksums: false });
    for await (const _ of unchecked.archives());
    assert.ok((await unchecked.end).lsn > 0n);
    await file.write(good, 0, 16, 8192 + 4000);
    await file.close();
  });

  it('a server that is shut down gives what it wrote until then, and is gone', async () => {
    await using replication = await replicate(server.url());
    const stream = await replication.stream({ start: await lsnNow(server), timeline: 1 });
    let end = 0n as Lsn;
    const read = (async () => {
      for await (const message of stream.messages()) {
        if (message.kind === 'wal') end = addToLsn(message.start, message.bytes.length);
        stream.report({ written: end, flushed: end, applied: end });
      }
    })();
    const rejected = assert.rejects(read, failing('postgres_server_gone'));
    await server.psql(noise);
    await server.stop();
    await rejected;
    await assert.rejects(stream.end(), failing('postgres_server_gone'));
    await server.start();
    // Behind the last byte is the checkpoint of the shutdown, and nothing else before the server ran again.
    const checkpoint = await server.psql('SELECT checkpoint_lsn FROM pg_control_checkpoint()');
    assert.ok(end > (parseLsn(checkpoint) ?? end), checkpoint);
  });

  it('a server that is killed is noticed, by streams and base backups', async () => {
    await using one = await replicate(server.url());
    await using two = await replicate(server.url());
    const stream = await one.stream({ start: await lsnNow(server), timeline: 1 });
    const backup = await two.baseBackup({ label: 'killed', fast: true, maxRateKib: 32 });
    const read = readTo(stream, 0n as Lsn, 0xffff_ffffn as Lsn);
    const drained = (async () => {
      for await (const { data } of backup.archives()) for await (const _ of data);
    })();
    const both = Promise.allSettled([read, drained, backup.end]);
    await until(async () => (await receivers()) === '2', 'both');
    await server.kill();
    for (const outcome of await both) {
      assert.equal(outcome.status, 'rejected');
      assert.ok(failing('postgres_server_gone')(outcome.reason));
    }
    await server.start();
  });
});
