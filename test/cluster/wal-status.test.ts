import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { after, before, describe, it } from 'node:test';
import type { WalStatusResult } from '../../src/app/wal/status.ts';
import { startPostgres, type PostgresServer } from '../../testing/postgres-server.ts';
import { until } from '../../testing/until.ts';
import { runInProcess } from '../cli/in-process.ts';
import { sandbox, type Sandbox } from '../cli/program-runner.ts';

describe('holdfast wal stream and wal status', () => {
  let server: PostgresServer;
  let box: Sandbox;

  before(async () => {
    server = await startPostgres({
      initdbArgs: ['--wal-segsize=1'],
      settings: {
        archive_mode: 'on',
        archive_command: '/bin/false',
        max_wal_size: '2MB',
        min_wal_size: '2MB',
        autovacuum: 'off',
      },
    });
    await server.psql('CREATE TABLE t (g int)');
    box = await sandbox();
    await writeFile(
      box.at('holdfast.yaml'),
      `repository: ${box.at('r')}
encryption: { enabled: false }
sources: { main: { type: postgres-cluster, url: "${server.url()}", wal_interval: 100ms } }
`,
    );
    assert.equal((await runInProcess(box, ['init', '--no-encryption'])).code, 0);
  });

  after(async () => {
    await server[Symbol.asyncDispose]();
    await box[Symbol.asyncDispose]();
  });

  const status = async (error: RegExp | null = null): Promise<WalStatusResult['sources'][number]> => {
    const ran = await runInProcess(box, ['wal', 'status', '--json']);
    assert.equal(ran.code, error === null ? 0 : 3, ran.stderr);
    const { sources, error: told } = ran.json() as WalStatusResult;
    if (error !== null) assert.match(`${String(told?.['code'])} ${String(told?.['message'])}`, error);
    assert.ok(sources[0] !== undefined && sources.length === 1);
    return sources[0];
  };

  it('says so when nothing is stored yet', async () => {
    const nothing = /^HF-5469 .*: it is on timeline 1, of which nothing is stored/;
    const { archives, server: asked } = await status(nothing);
    assert.deepEqual([archives, asked?.slot, asked?.lag_bytes], [[], null, null]);
    assert.equal((await runInProcess(box, ['wal', 'status', '--quiet'])).code, 3);
    const shown = await runInProcess(box, ['wal', 'status']);
    assert.match(
      shown.stdout,
      /^main\nserver +at 0\/\w+ of timeline 1\nbehind +nothing of timeline 1 is stored\nslot +none\n/,
    );
  });

  it('streams as a service does, to a SIGTERM, and tells how it is going', async () => {
    const stream = box.start(['wal', 'stream', '--json']);
    await stream.sees('"lag_bytes":0');
    await server.psql('INSERT INTO t SELECT generate_series(1, 20000)');
    await until(
      async () =>
        (await server.psql('SELECT flush_lsn = pg_current_wal_flush_lsn() FROM pg_stat_replication')) === 't',
    );
    const { server: asked, archives } = await status();
    assert.deepEqual([asked?.slot?.active, asked?.slot?.wal_status], [true, 'reserved']);
    assert.ok((asked?.lag_bytes ?? Infinity) < 1000);
    assert.equal(archives[0]?.timelines[0]?.gaps.length, 0);
    const second = await runInProcess(box, ['wal', 'stream', '--once', '--json']);
    assert.equal(second.code, 7, second.stderr);
    assert.match(second.stderr, /^error\[HF-5409\]/m);
    stream.kill('SIGTERM');
    const ran = await stream.done;
    assert.equal(ran.code, 0, ran.stderr);
    const summary = ran.lines().at(-1) ?? {};
    assert.deepEqual(
      [summary['type'], summary['ok'], summary['ended'], summary['gaps']],
      ['summary', true, 'stopped', []],
    );
  });

  it('shows what waits, what is lost, and what a server that is away cannot say', async () => {
    await server.psql('INSERT INTO t SELECT generate_series(1, 20000)');
    await server.psql('SELECT pg_switch_wal()');
    await until(async () => (await server.psql('SELECT failed_count > 0 FROM pg_stat_archiver')) === 't');
    const behind = await status(/^HF-5469 .*: its archiver fails at 0000/);
    assert.ok((behind.server?.lag_bytes ?? 0) > 1_000_000);
    assert.deepEqual([behind.server?.slot?.active, behind.server?.archiver?.failing], [false, true]);
    assert.ok((behind.server?.archiver?.waiting_files ?? 0) > 0);

    const end = behind.archives[0]?.timelines[0]?.to ?? '';
    await server.psql("SELECT pg_drop_replication_slot('holdfast_main')");
    await server.psql("ALTER SYSTEM SET archive_command = '/bin/true'");
    await server.psql('SELECT pg_reload_conf()');
    await until(async () => {
      await server.psql('INSERT INTO t SELECT generate_series(1, 20000)');
      await server.psql('SELECT pg_switch_wal()');
      await server.psql('CHECKPOINT');
      const oldest = "SELECT min(name) FROM pg_ls_waldir() WHERE name ~ '^[0-9A-F]{24}$'";
      return (await server.psql(`SELECT (${oldest}) > pg_walfile_name('${end}')`)) === 't';
    }, 'WAL to be removed');
    const lossy = await runInProcess(box, ['wal', 'stream', '--once']);
    assert.equal(lossy.code, 3, lossy.stderr);
    assert.match(
      lossy.stderr,
      new RegExp(`warning: the WAL of main from ${end} to \\S+ of timeline 1 is lost`),
    );
    assert.equal((await runInProcess(box, ['wal', 'stream', '--once'])).code, 0);
    const { archives } = await status();
    assert.equal(archives[0]?.timelines[0]?.gaps[0]?.from, end);

    await server.stop();
    const away = await status();
    assert.deepEqual([away.server, away.server_error?.['code']], [null, 'HF-5001']);
    assert.equal(away.archives[0]?.timelines[0]?.gaps.length, 1);
    assert.match(
      (await runInProcess(box, ['wal', 'status'])).stdout,
      /server +does not answer: no PostgreSQL server/,
    );
    assert.equal((await runInProcess(box, ['wal', 'stream', '--once'])).code, 8);
  });
});
