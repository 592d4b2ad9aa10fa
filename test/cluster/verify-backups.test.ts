import assert from 'node:assert/strict';
import { chown, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { startPostgres, type PostgresServer } from '../../testing/postgres-server.ts';
import { tempDirectory, type TempDirectory } from '../../testing/temp.ts';
import { until } from '../../testing/until.ts';
import { runInProcess } from '../cli/in-process.ts';
import { sandbox, type Sandbox } from '../cli/program-runner.ts';

const main = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));

interface Recoverable {
  readonly to: { readonly lsn: string; readonly at: string | null; readonly timeline: number } | null;
  readonly gap: unknown;
  readonly broken: string | null;
}

describe('backups of a real cluster know their WAL', () => {
  let server: PostgresServer;
  let box: Sandbox;
  let place: TempDirectory;
  const run = (...args: string[]) =>
    runInProcess(box, [...args, '--config', join(place.path, 'holdfast.yaml')]);
  const ok = async (...args: string[]) => {
    const ran = await run(...args);
    assert.equal(ran.code, 0, `${args.join(' ')}: ${ran.stderr}`);
    return ran;
  };
  const listed = async () => (await ok('list', '--json')).json()['backups'] as { recoverable: Recoverable }[];

  before(async () => {
    box = await sandbox();
    place = await tempDirectory('holdfast-known-');
    server = await startPostgres({
      settings: {
        archive_mode: 'on',
        archive_command: '/bin/false',
        wal_level: 'replica',
        autovacuum: 'off',
      },
      initdbArgs: ['--wal-segsize=1'],
    });
    await writeFile(join(place.path, 'passphrase'), 'correct horse battery staple\n', { mode: 0o644 });
    await writeFile(
      join(place.path, 'holdfast.yaml'),
      `repository: ${join(place.path, 'r')}
encryption: { passphrase_file: ${join(place.path, 'passphrase')} }
sources:
  main: { type: postgres-cluster, url: "${server.url()}", data_directory: ${server.dataDirectory} }
`,
    );
    const { user } = server;
    if (user !== undefined) await chown(place.path, user.uid, user.gid);
    await ok('init');
    if (user !== undefined) {
      for (const entry of await readdir(place.path, { recursive: true }))
        await chown(join(place.path, entry), user.uid, user.gid);
    }
    const command = `${process.execPath} --disable-warning=ExperimentalWarning ${main} wal push %p --config ${join(place.path, 'holdfast.yaml')}`;
    await server.psql(`ALTER SYSTEM SET archive_command = '${command.replaceAll("'", "''")}'`);
    await server.psql('SELECT pg_reload_conf()');
    await ok('backup');
    if (user !== undefined) {
      for (const entry of await readdir(place.path, { recursive: true }))
        await chown(join(place.path, entry), user.uid, user.gid);
    }
    await server.psql('CREATE TABLE t AS SELECT g FROM generate_series(1, 15000) g');
    const last = await server.psql('SELECT pg_walfile_name(pg_switch_wal())');
    await until(
      async () => (await server.psql('SELECT last_archived_wal FROM pg_stat_archiver')) >= last,
      'archiving',
      60_000,
    );
  });

  after(async () => {
    await server[Symbol.asyncDispose]();
    await place[Symbol.asyncDispose]();
    await box[Symbol.asyncDispose]();
  });

  it('list, info, size and verify tell of it', async () => {
    const [{ recoverable } = { recoverable: null }] = await listed();
    assert.ok(recoverable?.to?.at);
    assert.deepEqual([recoverable.gap, recoverable.broken, recoverable.to.timeline], [null, null, 1]);
    const seconds = `${recoverable.to.at.slice(0, 19).replace('T', ' ')}Z`;
    assert.match((await ok('list')).stdout, new RegExp(`RECOVERS.*\\n.* to ${seconds}`));
    const { stdout } = await ok('info', 'latest');
    assert.match(stdout, /^server +PostgreSQL 15\.\d+.*, system \d+, page checksums/m);
    assert.match(stdout, /^pages +\d+; full, because /m);
    assert.match(stdout, /^needs WAL +[0-9A-F]{24}.*: all there$/m);
    assert.match(stdout, new RegExp(`^recovers +from .* to ${seconds} `, 'm'));
    assert.doesNotMatch(stdout, /start_lsn/);
    const size = (await ok('size', '--json')).json();
    const { wal_bytes: wal, total_bytes: total } = size['repository'] as Record<string, number>;
    assert.ok(wal !== undefined && total !== undefined && wal > 10_000 && total > wal);
    assert.equal((size['sources'] as { wal_bytes: number }[])[0]?.wal_bytes, wal);
    assert.match((await ok('size')).stdout, /^SOURCE.* WAL$/m);
    const verified = await ok('verify', '--read-data');
    assert.match(verified.stdout, /^backup [0-9a-f]{8} of main recovers to 20/m);
  });

  it('a restore to the end of the backup tells what it leaves out', async () => {
    const dry = async (...flags: string[]): Promise<string> => {
      const ran = await ok('restore', 'latest:main', '--to', join(place.path, 'x'), '--dry-run', ...flags);
      return ran.stdout + ran.stderr;
    };
    assert.match(
      await dry(),
      /the stored WAL goes on behind the end of the backup \(20.* UTC\), to 20.* UTC \(0\/[0-9A-F]+, timeline 1\), and is left out: --at-end has all of it/,
    );
    assert.doesNotMatch(await dry('--at-end'), /left out/);
  });

  it('a gap behind it and WAL that it lacks are told by all of them', async () => {
    const folder = join(place.path, 'r', 'wal');
    const units = (await readdir(folder, { recursive: true })).filter((path) =>
      /\/00000001\/[0-9a-f]{8}\/[0-9a-f]{8}$/.test(path),
    );
    const sorted = units.toSorted();
    await rm(join(folder, sorted.at(-2) ?? ''), { force: true });
    const gap = await run('verify');
    assert.equal(gap.code, 9, gap.stderr);
    assert.match(gap.stderr, /take a backup now, .*: holdfast backup main;/);
    assert.doesNotMatch(gap.stderr, /good copies/);
    assert.match(gap.stdout, /^HF-5420 .*segment 00000001[0-9A-F]{16}\)/m);
    assert.notEqual((await listed())[0]?.recoverable.gap, null);
    const { stdout: before } = await ok('info', 'latest');
    const [, first = ''] = /^needs WAL +([0-9A-F]{24})/m.exec(before) ?? [];
    const position = (Number.parseInt(first.slice(16), 16) * 0x10_0000).toString(16).padStart(8, '0');
    const needed = sorted.filter((path) => path.endsWith(`/${position}`));
    assert.equal(needed.length, 1, `${first} in ${sorted.join(' ')}`);
    await rm(join(folder, needed[0] ?? ''));
    const broken = await run('verify');
    assert.equal(broken.code, 9);
    assert.ok(broken.stdout.includes(`(segment ${first})`), broken.stdout);
    assert.match((await ok('list')).stdout, / broken\b/);
    assert.match((await ok('info', 'latest')).stdout, new RegExp(`^lacks +${first}`, 'm'));
  });
});
