import assert from 'node:assert/strict';
import { appendFile, readdir, writeFile } from 'node:fs/promises';
import { after, before, describe, it } from 'node:test';
import { everyObjectSql } from '../../testing/every-object.ts';
import { dumpAsSets, dumpText } from '../../testing/pg-dump.ts';
import { startPostgres, type PostgresServer } from '../../testing/postgres-server.ts';
import { runInProcess } from '../cli/in-process.ts';
import { sandbox, type Json, type Ran, type Sandbox } from '../cli/program-runner.ts';
import { clientEnv, shell } from './support.ts';
import { describeTree, makeTree } from './tar-trees.ts';

describe('import', () => {
  let server: PostgresServer;
  let box: Sandbox;
  let env: Record<string, string>;

  before(async () => {
    server = await startPostgres({ settings: { wal_level: 'logical' } });
    box = await sandbox();
    env = { HOLDFAST_PASSPHRASE: 'correct horse battery', HOLDFAST_REPOSITORY: box.at('r') };
    await server.psql('CREATE DATABASE every');
    await server.psql(await everyObjectSql(), 'every');
    await server.psql(
      `SELECT lo_from_bytea(0, ''), lo_from_bytea(3000000000, repeat('large object ', 300000)::bytea);
       CREATE TABLE app.bulky AS SELECT i, repeat(md5(i::text), 40) AS t FROM generate_series(1, 5000) i`,
      'every',
    );
    await ok('init');
    await ok('backup', '--from', server.url('every'), '--tag', 'release=1.4');
  });
  after(async () => {
    await box[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
  });

  const run = (...args: string[]): Promise<Ran> => runInProcess(box, [...args, '--json'], { env });

  async function ok(...args: string[]): Promise<Json> {
    const ran = await run(...args);
    assert.equal(ran.code, 0, `${args.join(' ')}: ${ran.stderr}`);
    return ran.lines().at(-1) ?? {};
  }

  async function imported(...args: string[]): Promise<Json> {
    const { backups } = await ok('import', ...args);
    assert.equal((backups as Json[]).length, 1);
    return (backups as Json[])[0] ?? {};
  }

  async function assertSameDatabase(target: string): Promise<void> {
    assert.deepEqual(
      await dumpText(server, 'pg_dump', target, '--schema-only'),
      await dumpText(server, 'pg_dump', 'every', '--schema-only'),
    );
    assert.deepEqual(
      await dumpAsSets(server, 'pg_dump', target, '--data-only'),
      await dumpAsSets(server, 'pg_dump', 'every', '--data-only'),
    );
  }

  it('of what export wrote: the backup restores to the same database', async () => {
    await ok('export', 'latest:every', '--to', 'exported', '--format', 'dump');
    const backup = await imported('exported/every-every-'.concat(await stamp('exported'), '.dump'));
    assert.equal(backup['source'], 'every');
    assert.equal(backup['kind'], 'postgres');
    const tags = backup['tags'] as Json;
    assert.equal(tags['release'], '1.4');
    assert.match(String(tags['imported_from']), /^every-every-.*\.dump$/);
    assert.match(String(tags['imported_started_at']), /^\d{4}-\d\d-\d\dT.*Z$/);
    assert.ok(
      Number(backup['bytes_new']) < 20_000,
      `the same rows are stored once: ${JSON.stringify(backup)}`,
    );
    const { restored } = await ok('restore', String(backup['id']), '--to', server.url('again'), '--globals');
    assert.ok(Number((restored as Json)['checked']) > 10);
    await assertSameDatabase('again');
    await ok('verify', String(backup['id']), '--read-data');
    const everything = (await readdir(box.at('exported'))).map((name) => `exported/${name}`);
    const { plan } = await ok('import', '--dry-run', ...everything);
    assert.deepEqual(
      (plan as Json[]).map((one) => [String(one['format']), Boolean(one['checked'])]),
      [['dump', true]],
      'what lies beside it is no file to import',
    );
  });

  async function stamp(directory: string): Promise<string> {
    return /\d{8}T\d{6}Z/.exec((await readdir(box.at(directory))).join(' '))?.[0] ?? '';
  }

  for (const [name, options] of [
    ['compressed', ''],
    ['not compressed, made with --create', '-C -Z0'],
  ] as const) {
    it(`of an archive of pg_dump, ${name}`, async () => {
      await shell(`pg_dump -Fc ${options} -f other.dump every`, box.path, clientEnv(server));
      const backup = await imported('other.dump', '--source', 'elsewhere', '--tag', 'a=b');
      assert.deepEqual([backup['source'], (backup['tags'] as Json)['a']], ['elsewhere', 'b']);
      const target = `of_${name.replaceAll(/[, -]/g, '_')}`;
      await ok('restore', String(backup['id']), '--to', server.url(target));
      await assertSameDatabase(target);
      await shell('rm other.dump', box.path);
    });
  }

  it('of an archive packed with gzip once more', async () => {
    await shell('pg_dump -Fc -Z0 every | gzip > packed.dump.gz', box.path, clientEnv(server));
    const backup = await imported('packed.dump.gz');
    assert.equal(backup['source'], 'packed');
    assert.ok(Number(backup['bytes_new']) < 100_000);
  });

  it('refuses archives that are cut short, and those it could not compare after a restore', async () => {
    await shell(
      'pg_dump -Fc -f whole.dump every; pg_dump -Fc --inserts -f inserts.dump every',
      box.path,
      clientEnv(server),
    );
    await shell('pg_dump -Fc -a -f data.dump every', box.path, clientEnv(server));
    const size = Number(await shell('stat -c %s whole.dump', box.path));
    for (const part of [0.001, 0.5, 0.9999]) {
      await shell(`head -c ${Math.floor(size * part)} whole.dump > cut.dump`, box.path);
      const cut = await run('import', 'cut.dump');
      assert.equal(cut.code, 9, `${part}: ${cut.stderr}`);
      assert.match(cut.stderr, /HF-4114/);
    }
    for (const [file, what] of [
      ['inserts.dump', /INSERT/],
      ['data.dump', /without the tables/],
    ] as const) {
      const refused = await run('import', file);
      assert.deepEqual([refused.code, what.test(refused.stderr)], [4, true], refused.stderr);
    }
  });

  it('refuses what does not fit its checksum, and names it', async () => {
    await ok('export', 'latest:every', '--to', 'tampered', '--format', 'dump');
    const file = `tampered/every-every-${await stamp('tampered')}.dump`;
    await appendFile(box.at(file), 'x');
    for (const dry of [['--dry-run'], []]) {
      const refused = await run('import', file, ...dry);
      assert.equal(refused.code, 9);
      assert.match(refused.stderr, /HF-4113.*\.sha256/);
    }
    await shell('rm *.sha256', box.at('tampered'));
    assert.match((await run('import', file)).stderr, /HF-4113.*\.meta\.json/);
  });

  it('refuses what is nothing it knows, and goes on with the others', async () => {
    await writeFile(box.at('empty'), '');
    await writeFile(box.at('noise'), Buffer.from([1, 2, 3, 0, 255]));
    await shell(
      'mkfifo pipe; echo hello > f; tar -cf good.tar f; xz -k good.tar 2>/dev/null || printf "\\3757zXZ\\0" > good.tar.xz',
      box.path,
    );
    for (const [file, code, exit] of [
      ['empty', 'HF-4112', 4],
      ['noise', 'HF-4112', 4],
      ['good.tar.xz', 'HF-4115', 4],
      ['pipe', 'HF-4111', 6],
      ['missing', 'HF-4111', 6],
      ['.', 'HF-4111', 6],
    ] as const) {
      const refused = await run('import', file);
      assert.equal(refused.code, exit, refused.stderr);
      assert.match(refused.stderr, new RegExp(code));
    }
    await shell('mkdir -p folder/within', box.path);
    const passed = await run('import', 'folder', 'good.tar', 'folder/within');
    assert.equal(passed.code, 0, passed.stderr);
    const { backups: made } = passed.lines().at(-1) ?? {};
    assert.equal((made as Json[]).length, 1);
    assert.match(passed.stdout, /"notice".*folder\/within is a directory and is passed over/);
    assert.match((await run('import', 'folder', 'folder/within')).stderr, /HF-4111.*it is a directory/);
    const both = await run('import', 'empty', 'good.tar');
    assert.equal(both.code, 3);
    const { backups, failed } = both.lines().at(-1) ?? {};
    assert.deepEqual([(backups as Json[]).length, (failed as Json[])[0]?.['file']], [1, 'empty']);
    const { plan, dry_run: dry } = await ok('import', 'good.tar', '--dry-run');
    assert.deepEqual(
      [dry, (plan as Json[])[0]?.['kind'], (plan as Json[])[0]?.['source']],
      [true, 'files', 'good'],
    );
  });

  it('of a tar file: exported and imported, a directory restores to the same', async () => {
    await makeTree(box.path, 'tree');
    await ok('backup', '--from', 'files:tree');
    await ok('export', 'latest:tree', '--to', 'tars');
    const name = `tree-${await stamp('tars')}.tar.gz`;
    await shell(`sha256sum -c *.sha256 && tar -tzf ${name} > /dev/null`, box.at('tars'));
    const backup = await imported(`tars/${name}`);
    assert.deepEqual(
      [backup['source'], backup['kind'], backup['bytes_new']],
      ['tree', 'files', backup['bytes_new']],
    );
    await ok('restore', String(backup['id']), '--to', 'tree-again');
    assert.equal(await describeTree(box.at('tree-again')), await describeTree(box.at('tree')));
    await shell(
      `mkdir untarred && tar -C untarred --xattrs --xattrs-include='*' -xpzf tars/${name}`,
      box.path,
    );
    assert.equal(await describeTree(box.at('untarred')), await describeTree(box.at('tree')));
  });

  it('of SQLite databases: each exported, opened by sqlite3, imported under its name, restored the same', async () => {
    await shell(
      `mkdir -p dbs/sub; sqlite3 dbs/app.db "PRAGMA journal_mode=WAL; CREATE TABLE t(i, x); INSERT INTO t SELECT value, hex(randomblob(300)) FROM generate_series(1,3000)" > /dev/null;
       sqlite3 'dbs/sub/two words.sqlite' 'CREATE TABLE u(a); INSERT INTO u VALUES(1)'`,
      box.path,
    );
    await ok('backup', '--from', 'sqlite:dbs/**/*.{db,sqlite}');
    const [latest] = ((await ok('list', '--limit', '1'))['backups'] as Json[]) ?? [];
    const { files } = await ok('export', String(latest?.['id']), '--to', 'sq');
    assert.equal((files as Json[]).length, 2);
    await shell('sha256sum -c *.sha256', box.at('sq'));
    for (const file of files as Json[]) {
      const path = String(file['path']);
      assert.equal((await shell(`sqlite3 '${path}' 'PRAGMA integrity_check'`, box.path)).trim(), 'ok');
      await shell(`rm -f '${path}'-wal '${path}'-shm`, box.path);
      const stored = String((file['contents'] as Json)['path']);
      const backup = await imported(path);
      assert.equal(backup['kind'], 'sqlite');
      assert.deepEqual(backup['warnings'], []);
      const [entry] = (await ok('info', String(backup['id'])))['entries'] as Json[];
      assert.equal(entry?.['path'], stored);
      await ok('restore', String(backup['id']), '--to', `restored-${stored}`.replaceAll('/', '-'));
      assert.equal(
        await shell(`sqlite3 'restored-${stored.replaceAll('/', '-')}' .dump | sha256sum`, box.path),
        await shell(`sqlite3 'dbs/${stored}' .dump | sha256sum`, box.path),
      );
    }
    const { files: one } = await ok('export', String(latest?.['id']), '--to', 'sq1', '--only', 'path=sub/*');
    assert.equal((one as Json[]).length, 1);
    const refused = await run('export', String(latest?.['id']), '--to', 'sq2', '--format', 'dump');
    assert.deepEqual([refused.code, /HF-4104/.test(refused.stderr)], [2, true]);
  });

  it('of scripts: what export wrote restores to the same database, new or empty', async () => {
    await ok('export', 'latest:every', '--to', 'scripts');
    const file = `scripts/every-every-${await stamp('scripts')}.sql.gz`;
    const backup = await imported(file);
    assert.deepEqual([backup['source'], backup['kind']], ['every', 'postgres-sql']);
    const id = String(backup['id']);
    await ok('restore', id, '--to', server.url('of script'));
    await assertSameDatabase('of script');
    await server.psql('CREATE DATABASE there TEMPLATE template0');
    // Large objects are written with a transaction of their own, so all of it cannot be one.
    const refused = await run('restore', id, '--to', server.url('there'));
    assert.deepEqual([refused.code, /--force/.test(refused.stderr)], [2, true], refused.stderr);
    const { restored } = await ok('restore', id, '--to', server.url('there'), '--force');
    assert.equal((restored as Json)['mode'], 'replace');
    await assertSameDatabase('there');
    assert.equal((await run('restore', id, '--to', server.url('there'))).code, 7);
    const { files } = await ok('export', id, '--to', 'scripts-again');
    await shell(`cmp <(gunzip -c ${String((files as Json[])[0]?.['path'])}) <(gunzip -c ${file})`, box.path);
    const globals = await run('import', `scripts/every-globals-${await stamp('scripts')}.sql.gz`);
    assert.deepEqual([globals.code, /HF-4115.*roles/.test(globals.stderr)], [4, true], globals.stderr);
  });

  it('of scripts: one that fails leaves nothing behind, and what reaches elsewhere is refused', async () => {
    const databases = (): Promise<string> => server.psql('SELECT datname FROM pg_database ORDER BY 1');
    const before = await databases();
    await writeFile(
      box.at('fails.sql'),
      'CREATE TABLE a (i int);\nCOPY a FROM stdin;\n1\nx\n\\.\nSELECT 1;\n',
    );
    const { id } = await imported('fails.sql');
    const failed = await run('restore', String(id), '--to', server.url('fails'));
    assert.notEqual(failed.code, 0);
    assert.match(failed.stderr, /invalid input syntax/);
    assert.equal(await databases(), before);
    await writeFile(box.at('works.sql'), 'CREATE TABLE a (i int);\n');
    await server.psql('CREATE DATABASE half');
    await server.psql('CREATE DATABASE filled');
    const works = await imported('works.sql');
    await ok('restore', String(works['id']), '--to', server.url('filled'));
    assert.equal(await server.psql(`SELECT count(*) FROM pg_class WHERE relname = 'a'`, 'filled'), '1');
    assert.notEqual((await run('restore', String(id), '--to', server.url('half'))).code, 0);
    assert.equal(await server.psql(`SELECT count(*) FROM pg_class WHERE relname = 'a'`, 'half'), '0');
    await shell(
      'pg_dump -C every > create.sql; pg_dumpall > all.sql; pg_dump every | head -c 5000 > cut.sql; pg_dump every | head -n -8 > last.sql',
      box.path,
      clientEnv(server),
    );
    for (const [name, code] of [
      ['create.sql', 'HF-4115'],
      ['all.sql', 'HF-4115'],
      ['cut.sql', 'HF-4114'],
      ['last.sql', 'HF-4114'],
    ] as const)
      assert.match((await run('import', name)).stderr, new RegExp(code), name);
  });
});
