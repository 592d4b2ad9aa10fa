import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, cpSync, existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { dumpAsSets } from '../../testing/pg-dump.ts';
import { withoutPostgres, type PostgresServer } from '../../testing/postgres-server.ts';
import { archiveAll, ClusterProgram, type BackupFacts } from '../cluster/program-kit.ts';
import { ownedDirectory, startRestored, untilOpen } from '../cluster/restore-kit.ts';
import { bareMachine, filesBelow, type BareMachine, type KitRan } from './kit.ts';

const rows = 'SELECT count(*), sum(length(t)) FROM a';

describe('a PostgreSQL cluster out of a repository', { skip: withoutPostgres('system') }, () => {
  let program: ClusterProgram;
  let machine: BareMachine;
  let backup: BackupFacts;
  let server: PostgresServer;
  let space: string;
  /** What is in the database at the end of the backup, then at a moment, then at the end. */
  const truth = { backup: '', moment: '', at: '', end: [] as readonly unknown[] };

  const restore = async (to: string, ...more: string[]): Promise<KitRan> => {
    const args = ['--to', join(program.path, to), '--passphrase-file', join(program.path, 'passphrase')];
    return await machine.run(['restore', program.repository, backup.id.slice(0, 8), ...args, ...more]);
  };
  /** What is said to be done before it is started. */
  const handOver = (...directories: string[]): void => {
    const { user } = server;
    if (user !== undefined) execFileSync('chown', ['-R', `${user.uid}:${user.gid}`, ...directories]);
  };

  before(async () => {
    program = await ClusterProgram.begin({
      major: 'system',
      initdbArgs: ['--data-checksums'],
    });
    machine = await bareMachine();
    chmodSync(machine.path, 0o755); // the server's user has to come by
    ({ server } = program);
    space = ownedDirectory(join(program.path, 'space one'));
    await server.psql(`CREATE TABLESPACE one LOCATION '${space}'`);
    await server.psql(
      "CREATE TABLE a AS SELECT i, repeat('x', i % 100) AS t FROM generate_series(1, 20000) i",
    );
    await server.psql('CREATE TABLE b TABLESPACE one AS SELECT i FROM generate_series(1, 1000) i');
    await program.run('backup', 'main');
    await server.psql("UPDATE a SET t = 'changed' WHERE i % 1000 = 0");
    backup = await program.backUp();
    assert.notEqual(backup.metadata.parent, null);
    truth.backup = await server.psql(rows);
    await server.psql("INSERT INTO a VALUES (0, 'before')");
    truth.moment = await server.psql(rows);
    truth.at = await server.psql('SELECT clock_timestamp()');
    await server.psql("INSERT INTO a VALUES (-1, 'after')");
    await server.psql('CREATE INDEX ON b (i)');
    truth.end = await dumpAsSets(server, 'pg_dump', 'postgres');
    await archiveAll(server);
  });
  after(async () => {
    await program[Symbol.asyncDispose]();
    await machine[Symbol.asyncDispose]();
  });

  it('starts as it was at the end of the backup', async () => {
    const ran = await restore('plain');
    assert.equal(ran.code, 0, ran.stderr);
    const target = join(program.path, 'plain');
    assert.ok(!existsSync(join(target, 'holdfast-unfinished.txt')));
    assert.equal(statSync(target).mode & 0o777, 0o700);
    assert.ok(readdirSync(join(target, 'pg_wal')).some((name) => /^[0-9A-F]{24}$/.test(name)));
    assert.match(ran.stdout, /chown -R postgres: /);
    handOver(target);
    await using copy = await startRestored(server, target);
    assert.equal(await copy.psql(rows), truth.backup);
    assert.equal(await copy.psql('SELECT sum(i) FROM b'), '500500');
    const location = "SELECT pg_tablespace_location(oid) FROM pg_tablespace WHERE spcname = 'one'";
    assert.equal(
      await copy.psql(location),
      join(target, 'tablespaces', readdirSync(join(target, 'tablespaces'))[0] ?? ''),
    );
    assert.equal(await copy.psql('SHOW archive_mode'), 'off');
    assert.match(await copy.log(), /consistent recovery state reached/);
  });

  it('rolls forward to the end by the WAL that the file itself hands out, tablespaces elsewhere', async () => {
    const oid = await server.psql("SELECT oid FROM pg_tablespace WHERE spcname = 'one'");
    const elsewhere = join(program.path, "o'ne");
    const ran = await restore("it's 100%", '--recover', '--tablespace', `${oid}=${elsewhere}`);
    assert.equal(ran.code, 0, ran.stderr);
    const target = join(program.path, "it's 100%");
    handOver(target, elsewhere);
    await using copy = await startRestored(server, target);
    await untilOpen(copy);
    const { major, superuser, password } = server;
    const other = { major, superuser, password, port: copy.port } as PostgresServer;
    assert.deepEqual(await dumpAsSets(other, 'pg_dump', 'postgres'), truth.end);
    assert.equal(await copy.psql('SELECT pg_walfile_name(pg_current_wal_lsn()) > $$00000002$$'), 't');
    assert.ok(filesBelow(elsewhere).length > 0);
  });

  it('rolls forward to a moment', async () => {
    const ran = await restore('moment', '--recover', '--at', truth.at);
    assert.equal(ran.code, 0, ran.stderr);
    handOver(join(program.path, 'moment'));
    await using copy = await startRestored(server, join(program.path, 'moment'));
    await untilOpen(copy);
    assert.equal(await copy.psql(rows), truth.moment);
    const early = await restore('early', '--recover', '--at', '2020-01-01 00:00:00+00');
    assert.equal(early.code, 2);
    assert.match(early.stderr, /take an earlier backup/);
    assert.equal(
      (await restore('early', '--recover', '--at', '2020-01-01 00:00:00')).code,
      2,
      'no time zone',
    );
    assert.ok(!existsSync(join(program.path, 'early')));
  });

  it('is checked with its WAL, and a gap in that stops a recovery', async () => {
    const key = ['--passphrase-file', join(program.path, 'passphrase')];
    const checked = await machine.run(['check', program.repository, ...key]);
    assert.equal(checked.code, 0, checked.stderr);
    assert.equal(checked.stdout.match(/: whole$/gm)?.length, 3);

    const copy = machine.at('damaged');
    cpSync(program.repository, copy, { recursive: true });
    const [high = 0, low = 0] = backup.metadata.stop_lsn.split('/').map((part) => Number.parseInt(part, 16));
    const segment = Math.floor((low - 1) / 16_777_216);
    const needed = join(
      high.toString(16).padStart(8, '0'),
      (segment * 16_777_216).toString(16).padStart(8, '0'),
    );
    const [archive = ''] = readdirSync(join(copy, 'wal')).filter((name) => name !== 'about');
    const folder = join(copy, 'wal', archive, '00000001');
    const parts = filesBelow(folder).filter((file) => file.startsWith(join(folder, needed.slice(0, -6))));
    assert.ok(parts.length > 0, needed);
    for (const file of parts) execFileSync('rm', [file]);
    const damaged = await machine.run(['check', copy, backup.id, ...key]);
    assert.equal(damaged.code, 3);
    assert.match(damaged.stderr, /DAMAGED: backup .* of main: WAL from .* to .* is not there/);
    const name =
      `00000001${high.toString(16).padStart(8, '0')}${segment.toString(16).padStart(8, '0')}`.toUpperCase();
    const got = await machine.run(['wal', copy, 'main', name, 'got', ...key]);
    assert.equal(got.code, 126);
    assert.match(got.stderr, /gap in the WAL/);
    const ran = await machine.run(['restore', copy, backup.id, '--to', 'without-wal', ...key]);
    assert.equal(ran.code, 3);
    assert.match(ran.stderr, /DAMAGED: pg_wal\/.*gap in the WAL/);
    assert.ok(existsSync(machine.at('without-wal', 'holdfast-damage.txt')));
  });

  it('gives single files of it as they are', async () => {
    const key = ['--passphrase-file', join(program.path, 'passphrase')];
    const only = ['--only', 'global', '--only', 'backup_label', ...key];
    const ran = await machine.run(['restore', program.repository, backup.id, '--to', 'some', ...only]);
    assert.equal(ran.code, 0, ran.stderr);
    assert.match(readFileSync(machine.at('some/backup_label'), 'utf8'), /^START WAL LOCATION: /);
    assert.equal(statSync(machine.at('some/global/pg_control')).size, 8192);
    assert.ok(!existsSync(machine.at('some/base')));
  });
});
