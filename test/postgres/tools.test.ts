import assert from 'node:assert/strict';
import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { startChild, runChild, writeTo } from '../../src/postgres/child.ts';
import { checkPostgres } from '../../src/sources/postgres-logical/check.ts';
import type { WantedDatabases } from '../../src/sources/postgres-logical/databases.ts';
import { connectionFromUrl } from '../../src/postgres/connection/connection.ts';
import { planArchives } from '../../src/sources/postgres-logical/dump-plan.ts';
import { findTools, listTools, parseToolVersion } from '../../src/postgres/tools.ts';
import { startPostgres, type PostgresServer } from '../../testing/postgres-server.ts';
import { tempDirectory, type TempDirectory } from '../../testing/temp.ts';
import { env, failing } from './support.ts';

const { signal } = new AbortController();
const shell = (script: string) => ({
  command: '/bin/sh',
  args: ['-c', script],
  env: { PATH: process.env['PATH'] ?? '' },
});

describe('the tools of PostgreSQL', () => {
  let directory: TempDirectory;
  before(async () => {
    directory = await tempDirectory();
  });
  after(() => directory[Symbol.asyncDispose]());

  async function install(name: string, version: string): Promise<string> {
    const path = join(directory.path, name);
    await mkdir(path, { recursive: true });
    await writeFile(join(path, 'pg_dump'), `#!/bin/sh\necho 'pg_dump (PostgreSQL) ${version}'\n`, {
      mode: 0o755,
    });
    return path;
  }

  it('are chosen as the lowest major that is not older than the server', async () => {
    const paths = [
      await install('a', '97.1'),
      await install('b', '95.4 (Debian 95.4-1)'),
      await install('c', '96beta2'),
    ];
    const search = {
      env: { PATH: [...paths, join(directory.path, 'missing'), 'relative'].join(':') },
      signal,
    };
    assert.equal((await findTools(search, 'pg_dump', 95, 'x')).version, '95.4');
    assert.equal((await findTools(search, 'pg_dump', 96, 'x')).version, '96beta2');
    await assert.rejects(
      findTools(search, 'pg_dump', 98, 'x'),
      failing('postgres_tool_too_old', ({ message }) => assert.match(message, /97\.1/)),
    );
  });

  it('are taken from the directory that is named, and from no other', async () => {
    const path = await install('named', '14.9');
    const found = await listTools({ env, signal, directory: path }, 'pg_dump');
    assert.deepEqual(found, [{ directory: path, version: '14.9', major: 14 }]);
  });

  it('are never the wrapper that chooses a version anew each time', async () => {
    const path = await install('wrapped', '99.9');
    await writeFile(join(path, 'pg_wrapper'), '#!/bin/sh\necho "pg_dump (PostgreSQL) 99.9"\n', {
      mode: 0o755,
    });
    await mkdir(join(directory.path, 'links'));
    await symlink(join(path, 'pg_wrapper'), join(directory.path, 'links', 'pg_dump'));
    assert.deepEqual(
      await listTools({ env, signal, directory: join(directory.path, 'links') }, 'pg_dump'),
      [],
    );
  });

  it('tell their version in many ways', () => {
    assert.equal(parseToolVersion('pg_dump (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n'), '15.18');
    assert.equal(parseToolVersion('pg_restore (PostgreSQL) 18devel'), '18devel');
    assert.equal(parseToolVersion('pg_dump (PostgreSQL) 9.6.24'), undefined);
    assert.equal(parseToolVersion('mysqldump 8'), undefined);
  });
});

describe('a child process', () => {
  it('gives its exit code, its signal and the end of what it said', async () => {
    const result = await runChild({
      ...shell('echo out; yes error | head -c 300000 >&2; echo last >&2; exit 3'),
      signal,
    });
    assert.deepEqual(
      [result.code, result.signal, result.stdout.toString(), result.stderr.length],
      [3, null, 'out\n', 65_536],
    );
    assert.match(result.stderr, /last\n$/);
    assert.equal((await runChild({ ...shell('kill -TERM $$'), signal })).signal, 'SIGTERM');
  });

  it('that cannot be started is a coded error', async () => {
    await assert.rejects(
      runChild({ command: '/no/such/program', args: [], env: {}, signal }),
      failing('postgres_tool_failed', ({ message }) => assert.match(message, /program/)),
    );
  });

  it('ends when it is aborted, while nobody reads its output', async () => {
    const controller = new AbortController();
    const child = startChild({
      ...shell('yes; echo survived >&2'),
      signal: controller.signal,
      stdin: 'ignore',
      stdout: 'pipe',
    });
    const reason = new Error('stop');
    controller.abort(reason);
    await assert.rejects(child.exit, reason);
  });

  it('that reads no more ends the writing instead of blocking it', async () => {
    const child = startChild({ ...shell('exec 0<&-; exit 7'), signal, stdin: 'pipe', stdout: 'ignore' });
    assert.ok(child.stdin);
    const piece = Buffer.alloc(65_536);
    while (await writeTo(child.stdin, piece));
    assert.equal((await child.exit).code, 7);
  });
});

describe('archives side by side', () => {
  const table = (name: string, bytes: number) => ({ schema: 's', table: name, bytes });
  it('are filled evenly, with the small tables beside the schema', () => {
    const plans = planArchives([table('a', 100), table('b', 60), table('c', 50), table('d', 10)], 0, 2);
    assert.deepEqual(
      plans.map(({ number, content, tables }) => [number, content, tables.map((each) => each.table)]),
      [
        [0, 'all', ['b', 'c']],
        [1, 'data', ['b', 'c']],
      ],
    );
  });
  it('are one when there is one job or no big table', () => {
    assert.equal(planArchives([table('a', 100)], 5, 1).length, 1);
    assert.equal(planArchives([], 5, 4).length, 1);
    assert.equal(planArchives([table('a', 100)], 5, 4).length, 2);
  });
});

describe('what doctor says of a PostgreSQL source', () => {
  let server: PostgresServer;
  before(async () => {
    server = await startPostgres();
    await server.psql(`CREATE DATABASE shop`);
    await server.psql(
      `CREATE TABLE closed (a integer); CREATE TABLE open (a integer); CREATE TABLE guarded (a integer);
       ALTER TABLE guarded ENABLE ROW LEVEL SECURITY; CREATE ROLE limited LOGIN PASSWORD 'pw-of-limited';
       GRANT SELECT ON open, guarded TO limited; SELECT lo_from_bytea(0, 'x')`,
      'shop',
    );
    await server.psql('CREATE DATABASE holdfast_restoring_deadbeef');
  });
  after(() => server[Symbol.asyncDispose]());
  const check = async (url: string, databases?: WantedDatabases) =>
    await checkPostgres({ connection: connectionFromUrl(url, {}), databases, env }, signal);

  it('finds nothing wrong for a superuser but what a crash left behind', async () => {
    const findings = await check(server.url('shop'));
    assert.deepEqual(
      findings.filter(({ level }) => level !== 'ok').map(({ check: name, mend }) => [name, mend]),
      [['leftovers', 'DROP DATABASE "holdfast_restoring_deadbeef";']],
    );
    assert.ok(
      findings.some(({ check: name, message }) => name === 'tools pg_dump' && message.startsWith('pg_dump ')),
    );
  });

  it('names what a limited user cannot read, and the mend for each', async () => {
    const findings = await check(server.url('shop', 'limited', 'pw-of-limited'));
    const bad = new Map(
      findings.filter(({ level }) => level !== 'ok').map((finding) => [finding.check, finding]),
    );
    assert.match(
      bad.get('permissions')?.message ?? '',
      /^in database shop tables or sequences cannot be read \(1\): public\.closed$/,
    );
    assert.equal(bad.get('permissions')?.mend, 'GRANT pg_read_all_data TO "limited";');
    assert.match(bad.get('row-level security')?.message ?? '', /public\.guarded/);
    assert.equal(bad.get('large objects')?.level, 'error');
    assert.equal(bad.get('roles')?.level, 'warning');
    assert.doesNotMatch(JSON.stringify(findings), /pw-of-limited/);
  });

  it('looks into every database that is selected, and names the one that is amiss', async () => {
    await server.psql('CREATE DATABASE blog');
    await server.psql('CREATE TABLE posts (a integer)', 'blog');
    await server.psql('CREATE DATABASE shut');
    await server.psql('REVOKE CONNECT ON DATABASE shut FROM PUBLIC');
    const errors = async (databases: WantedDatabases) =>
      (await check(server.url('limited', 'limited', 'pw-of-limited'), databases))
        .filter(({ level }) => level === 'error')
        .map(({ check: name, code, message }) => `${name} ${code}: ${message}`)
        .join('\n');
    const all = await errors('all');
    assert.match(all, /permissions HF-5007: in database blog .*public\.posts/);
    assert.match(all, /permissions HF-5007: in database shop .*public\.closed/);
    assert.match(all, /database shut HF-5007: .*shut/);
    assert.doesNotMatch(await errors(['blog', 'postgres']), /shop|shut/);
    assert.match(await errors(['blog', 'gone']), /^databases HF-5004: there is no database gone/);
    const ok = await check(server.url('no_such_database'), ['blog', 'shop']);
    assert.match(
      ok.map(({ message }) => message).join('\n'),
      /every table, .* of databases blog, shop can be read\ndatabases blog, shop have \d+\.\d MiB together/,
    );
  });

  it('is one finding with a code when the server cannot be reached', async () => {
    const findings = await check(server.url('nowhere'));
    assert.deepEqual(
      findings.map(({ check: name, level, code }) => [name, level, code]),
      [['connection', 'error', 'HF-5004']],
    );
  });
});
