import assert from 'node:assert/strict';
import { readdir, readFile, stat } from 'node:fs/promises';
import { after, before, describe, it } from 'node:test';
import { everyObjectSql } from '../../testing/every-object.ts';
import { dumpAsSets, dumpText } from '../../testing/pg-dump.ts';
import { startPostgres, type PostgresServer } from '../../testing/postgres-server.ts';
import { runInProcess } from '../cli/in-process.ts';
import { sandbox, type Json, type Sandbox } from '../cli/program-runner.ts';
import { clientEnv, shell } from './support.ts';

describe('an export of PostgreSQL', () => {
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
    await holdfast('init');
    await holdfast('backup', '--from', server.url('every'), '--tag', 'release=1.4');
  });
  after(async () => {
    await box[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
  });

  async function holdfast(...args: string[]): Promise<Json> {
    const ran = await runInProcess(box, [...args, '--json'], { env });
    assert.equal(ran.code, 0, `${args[0]}: ${ran.stderr}`);
    return ran.lines().at(-1) ?? {};
  }

  /** What the `.meta.json` says to type, into a database of another name. */
  async function use(directory: string, name: string, database: string): Promise<void> {
    const meta = JSON.parse(await readFile(`${directory}/${name}.meta.json`, 'utf8')) as Json;
    const line = String(meta['use']).replaceAll(/(?<=createdb |-d )every/g, database);
    await shell(line, directory, clientEnv(server));
  }

  async function assertSame(target: string): Promise<void> {
    for (const what of ['--schema-only', '--data-only']) {
      const dump = what === '--data-only' ? dumpAsSets : dumpText;
      assert.deepEqual(
        await dump(server, 'pg_dump', target, what, '--no-subscriptions'),
        await dump(server, 'pg_dump', 'every', what, '--no-subscriptions'),
      );
    }
  }

  it('as a script: psql takes it, checksums fit, and the database is the same', async () => {
    const { files } = await holdfast('export', 'latest', '--to', 'sql');
    const directory = box.at('sql');
    const [globals, script] = (files as Json[]).map(({ path }) => String(path).split('/').at(-1) ?? '');
    assert.match(script ?? '', /^every-every-\d{8}T\d{6}Z\.sql\.gz$/);
    assert.match(globals ?? '', /^every-globals-\d{8}T\d{6}Z\.sql\.gz$/);
    assert.deepEqual(
      new Set(await readdir(directory)),
      new Set([script, globals].flatMap((name) => [name, `${name}.meta.json`, `${name}.sha256`])),
    );
    await shell('sha256sum -c *.sha256 && gzip -t *.gz', directory);
    assert.equal((await stat(box.at('sql', script ?? ''))).mode & 0o777, 0o600);
    await use(directory, script ?? '', 'from_script');
    await assertSame('from_script');
    assert.match(await shell(`gunzip -c ${globals}`, directory), /CREATE ROLE/);
    const meta = JSON.parse(await readFile(box.at('sql', `${script}.meta.json`), 'utf8')) as Json;
    assert.deepEqual((meta['backup'] as Json)['tags'], { release: '1.4' });
    assert.equal(((meta['contents'] as Json)['database'] as Json)['name'], 'every');
  });

  it('as an archive: pg_restore lists it and restores it side by side', async () => {
    const { files } = await holdfast('export', 'latest', '--to', 'dump', '--format', 'dump');
    const directory = box.at('dump');
    const name =
      String((files as Json[])[1]?.['path'])
        .split('/')
        .at(-1) ?? '';
    await shell('sha256sum -c *.sha256', directory);
    const listed = await shell(`pg_restore -l ${name}`, directory, clientEnv(server));
    assert.match(listed, /Compression: (-1|gzip)/);
    assert.match(listed, /TABLE DATA app bulky/);
    const [plain] = (await holdfast('info', 'latest'))['entries'] as Json[];
    assert.ok(plain !== undefined);
    await use(directory, name, 'from_archive');
    await assertSame('from_archive');
    // With the place of each table written down, several pg_restore find theirs.
    await shell(`createdb from_jobs && pg_restore -j 3 -d from_jobs ${name}`, directory, clientEnv(server));
    await assertSame('from_jobs');
  });

  it('of one table alone', async () => {
    const { files } = await holdfast(
      ...'export latest --to one --format dump --only table=app.bulky'.split(' '),
    );
    assert.equal((files as Json[]).length, 1);
    const listed = await shell('pg_restore -l *.dump', box.at('one'), clientEnv(server));
    assert.deepEqual(listed.match(/TABLE DATA .*/g), ['TABLE DATA app bulky postgres']);
    await shell('createdb alone && pg_restore -d alone *.dump', box.at('one'), clientEnv(server));
    assert.equal(await server.psql('SELECT count(*) FROM app.bulky', 'alone'), '5000');
  });

  it('never writes over what is there, unless told to', async () => {
    await holdfast('export', 'latest', '--to', 'twice');
    const before = await readdir(box.at('twice'));
    const again = await runInProcess(box, ['export', 'latest', '--to', 'twice'], { env });
    assert.equal(again.code, 4);
    assert.match(again.stderr, /HF-4101.*every-every-/);
    await holdfast('export', 'latest', '--to', 'twice', '--force');
    assert.deepEqual(await readdir(box.at('twice')), before);
    await shell('sha256sum -c *.sha256', box.at('twice'));
  });

  it('keeps the roles that an export in the other format has written just so, and refuses others', async () => {
    await holdfast('export', 'latest', '--to', 'both');
    const [globals = ''] = await rolesIn('both');
    const before = await Promise.all((await rolesIn('both')).map((name) => stat(box.at('both', name))));
    const planned = await holdfast('export', 'latest', '--to', 'both', '--format', 'dump', '--dry-run');
    assert.equal((planned['files'] as Json[]).length, 2);
    const { files } = await holdfast('export', 'latest', '--to', 'both', '--format', 'dump');
    const sum = (await shell(`sha256sum ${globals}`, box.at('both'))).split(' ')[0];
    assert.deepEqual(
      (files as Json[]).map((file) => [String(file['format']), String(file['sha256']) === sum]),
      [
        ['sql', true],
        ['dump', false],
      ],
    );
    const after = await Promise.all((await rolesIn('both')).map((name) => stat(box.at('both', name))));
    assert.deepEqual(
      after.map(({ ino, mtimeMs }) => [ino, mtimeMs]),
      before.map(({ ino, mtimeMs }) => [ino, mtimeMs]),
    );
    await shell('sha256sum -c *.sha256', box.at('both'));
    const dump = (await readdir(box.at('both'))).find((name) => name.endsWith('.dump')) ?? '';
    const { plan } = await holdfast('import', `both/${dump}`, `both/${globals}`, '--dry-run');
    assert.equal(
      (plan as Json[]).length,
      1,
      'roles come along with the archive, though they know of the script only',
    );
    for (const [spoil, mend] of [
      [`printf x >> ${globals}`, `truncate -s -1 ${globals}`],
      [`mv ${globals}.meta.json away`, `mv away ${globals}.meta.json`],
      [`mv ${globals} away; mkfifo ${globals}`, `mv away ${globals}`],
    ]) {
      await shell(`rm *.dump*; ${spoil}`, box.at('both'));
      for (const dry of [[], ['--dry-run']]) {
        const refused = await runInProcess(
          box,
          ['export', 'latest', '--to', 'both', '--format', 'dump', ...dry],
          {
            env,
          },
        );
        assert.equal(refused.code, 4, `${spoil}: ${refused.stderr}`);
        assert.match(refused.stderr, /HF-4101.*both already has every-globals-/);
      }
      await shell(String(mend), box.at('both'));
      await holdfast('export', 'latest', '--to', 'both', '--format', 'dump');
    }
  });

  async function rolesIn(directory: string): Promise<string[]> {
    return (await readdir(box.at(directory))).filter((name) => name.includes('-globals-')).toSorted();
  }

  it('says with --dry-run what it would write, and writes nothing', async () => {
    const { files, dry_run: dry } = await holdfast('export', 'latest', '--to', 'dry', '--dry-run');
    assert.equal(dry, true);
    assert.equal((files as Json[]).length, 2);
    await assert.rejects(readdir(box.at('dry')), { code: 'ENOENT' });
  });

  it('leaves nothing when a chunk is damaged', async () => {
    await shell(
      // Over the middle of the largest pack.
      'f=$(find r/packs -type f -printf "%s %p\\n" | sort -n | tail -1 | cut -d" " -f2); chmod u+w $f; printf XXXXXXXXXXXXXXXX | dd of=$f bs=1 seek=$(($(stat -c %s $f)/2)) conv=notrunc status=none',
      box.path,
    );
    for (const format of ['sql', 'dump']) {
      const damaged = await runInProcess(box, ['export', 'latest', '--to', 'damaged', '--format', format], {
        env,
      });
      assert.equal(damaged.code, 9, damaged.stderr);
      assert.deepEqual(await readdir(box.at('damaged')), []);
    }
  });
});
