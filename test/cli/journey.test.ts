import assert from 'node:assert/strict';
import { cp, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { startPostgres, type PostgresServer } from '../../testing/postgres-server.ts';
import { sandbox, type Json, type Sandbox } from './program-runner.ts';

const passphrase = 'correct horse battery';

/** One after the other, as a user would: what a step leaves behind is where the next one begins. */
describe('from an empty repository to a restored database', () => {
  let server: PostgresServer;
  let box: Sandbox;
  let env: Record<string, string>;

  before(async () => {
    server = await startPostgres();
    box = await sandbox();
    await server.psql('CREATE DATABASE shop');
    await server.psql(
      `CREATE TABLE orders (id int PRIMARY KEY, note text);
       INSERT INTO orders SELECT i, md5(i::text) FROM generate_series(1, 5000) i;
       CREATE TABLE empty (a int)`,
      'shop',
    );
    await server.psql('CREATE DATABASE blog');
    env = { HOLDFAST_PASSPHRASE: passphrase, SHOP: server.url('shop'), BLOG: server.url('blog') };
    await writeFile(
      box.at('holdfast.yaml'),
      [
        'repository: ./store',
        'sources:',
        '  shop: { type: postgres, url: "${SHOP}", tags: { team: web } }',
        '  blog: { type: postgres, url: "${BLOG}", globals: false }',
        '',
      ].join('\n'),
    );
  });

  after(async () => {
    await box[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
  });

  async function ok(...args: string[]) {
    const ran = await box.run(args, { env });
    assert.equal(ran.code, 0, `holdfast ${args.join(' ')}: ${ran.stderr}`);
    return ran;
  }

  it('init makes an encrypted repository and a recovery kit without the passphrase', async () => {
    const result = (await ok('init', '--json')).json();
    const repository = result['repository'] as Json;
    assert.deepEqual(
      [result['created'], repository['encrypted'], result['passphrase']],
      [true, true, 'configuration'],
    );
    const kit = String(result['recovery_kit']);
    const page = await readFile(kit, 'utf8');
    assert.equal((await stat(kit)).mode & 0o777, 0o600);
    for (const needed of [repository['id'], box.at('store'), 'holdfast restore', 'docs/format.md']) {
      assert.ok(page.includes(String(needed)), String(needed));
    }
    assert.ok(!page.includes(passphrase));
    assert.equal((await ok('init', '--json')).json()['created'], false);
  });

  it('backup streams events and ends with a summary of every source', async () => {
    const lines = (await ok('backup', '--tag', 'release=1', '--json')).lines();
    const summary = lines.at(-1) ?? {};
    assert.deepEqual([summary['type'], summary['schema'], summary['ok']], ['summary', 1, true]);
    const backups = summary['backups'] as Json[];
    assert.deepEqual(
      backups.map(({ source, kind }) => [source, kind] as unknown),
      [
        ['shop', 'postgres'],
        ['blog', 'postgres'],
      ],
    );
    const shop = backups[0] ?? {};
    assert.match(String(shop['id']), /^[0-9a-f]{32}$/);
    assert.ok(Number(shop['bytes_read']) > 100_000 && Number(shop['bytes_added']) > 0);
    assert.ok(String(shop['started_at']) <= String(shop['finished_at']));
    assert.deepEqual(shop['tags'], { team: 'web', release: '1' });
    assert.ok(lines.some(({ type }) => type === 'backup'));
  });

  it('a second backup costs next to nothing, and says so to people on standard error alone', async () => {
    const { stdout, stderr } = await ok('backup', 'shop');
    assert.equal(stdout, '');
    assert.match(stderr, /^backup [0-9a-f]{8} of shop: [\d.]+ KiB, .* stored, [\d.]+% of it new, in /);
    const backups = (await ok('list', '--source', 'shop', '--json')).json()['backups'] as Json[];
    const [first, second] = backups;
    assert.ok(Number(second?.['bytes_added']) < Number(first?.['bytes_added']) / 10);
  });

  it('list, info and verify show what is there', async () => {
    const table = (await ok('list')).stdout.trimEnd().split('\n');
    assert.equal(table.length, 4);
    assert.match(table[0] ?? '', /^ID +STARTED +SOURCE/);
    assert.equal(
      ((await ok('list', '--tag', 'release=1', '--limit', '1', '--json')).json()['backups'] as Json[]).length,
      1,
    );
    const info = (await ok('info', 'latest:shop', '--json')).json();
    assert.ok((info['entries'] as Json[]).some(({ path }) => String(path).endsWith('public.orders')));
    assert.match((await ok('info', 'latest', '--entries')).stdout, /public\.orders/);
    const verified = (await ok('verify', '--read-data', '--json')).lines().at(-1) ?? {};
    assert.deepEqual(
      [verified['ok'], verified['level'], verified['backups_checked']],
      [true, 'read-data', 3],
    );
    await ok('verify', 'latest', '--read-data-subset', '50%');
  });

  it('restore --dry-run changes nothing, restore makes the database', async () => {
    const planned =
      (await ok('restore', 'latest:shop', '--to', server.url('copy'), '--dry-run', '--json'))
        .lines()
        .at(-1) ?? {};
    assert.deepEqual(
      [planned['dry_run'], (planned['plan'] as Json)['mode'], planned['restored']],
      [true, 'create', null],
    );
    assert.equal(await server.psql("SELECT count(*) FROM pg_database WHERE datname = 'copy'"), '0');
    const done = await ok('restore', 'latest:shop', '--to', server.url('copy'));
    assert.match(done.stderr, /5000 rows.*compared with the backup and equal/);
    assert.equal(await server.psql('SELECT count(*) FROM orders', 'copy'), '5000');
    await ok('restore', 'latest:shop', '--to', server.url('part'), '--only', 'table=public.empty');
    assert.equal(await server.psql("SELECT to_regclass('orders') IS NULL", 'part'), 't');
  });

  it('restore --force keeps what was there under another name', async () => {
    const summary =
      (await ok('restore', 'latest:shop', '--to', server.url('copy'), '--force', '--json')).lines().at(-1) ??
      {};
    const kept = String((summary['restored'] as Json)['replaced']);
    assert.equal(await server.psql('SELECT count(*) FROM orders', kept), '5000');
  });

  it('keys are listed, added, changed and removed', async () => {
    await writeFile(box.at('new'), 'another good one\n');
    const added = (await ok('key', 'add', '--label', 'ops', '--new-passphrase-file', 'new', '--json')).json();
    assert.equal((added['keys'] as Json[]).length, 2);
    const byNew = { env: { ...env, HOLDFAST_PASSPHRASE: 'another good one' } };
    assert.equal((await box.run(['list'], byNew)).code, 0);
    await ok('key', 'remove', String((added['key'] as Json)['id']).slice(0, 8));
    assert.equal((await box.run(['list'], byNew)).code, 10);
    const changing = { env: { ...env, HOLDFAST_NEW_PASSPHRASE: 'a third good one' } };
    assert.equal((await box.run(['key', 'change'], changing)).code, 0);
    env = { ...env, HOLDFAST_PASSPHRASE: 'a third good one' };
    assert.equal(((await ok('key', 'list', '--json')).json()['keys'] as Json[]).length, 1);
  });

  it('doctor finds nothing amiss', async () => {
    const result = (await ok('doctor', '--json')).json();
    assert.deepEqual([result['ok'], result['errors']], [true, 0]);
  });

  it('the audit trail has who did what, and no password', async () => {
    const trail = await readFile(box.at('home', '.local', 'state', 'holdfast', 'audit.jsonl'), 'utf8');
    const verbs = new Set(
      trail
        .trimEnd()
        .split('\n')
        .map((line) => (JSON.parse(line) as { verb: string }).verb),
    );
    assert.deepEqual([...verbs].toSorted(), [
      'backup',
      'init',
      'key add',
      'key change',
      'key remove',
      'restore',
      'verify',
    ]);
    const log = await readFile(box.at('home', '.local', 'state', 'holdfast', 'holdfast.log'), 'utf8');
    assert.match(log, /"msg":"backup done"/);
    for (const text of [trail, log]) assert.ok(!text.includes(server.password) && !text.includes('good one'));
    assert.deepEqual((await readdir(box.at('home'))).toSorted(), ['.cache', '.local']);
  });
});

describe('without a passphrase and without a terminal', () => {
  it('init makes a key file and says so loudly; the next commands find it', async () => {
    await using box = await sandbox();
    const { code, stdout, stderr } = await box.run(['init', '--repo', 'r']);
    assert.equal(code, 0, stderr);
    assert.equal(stdout, '');
    const path = /kept in (\S+\.key)/.exec(stderr)?.[1] ?? '';
    assert.match(stderr, /^warning: .*random key.*\nhint: copy this file/);
    assert.equal((await stat(path)).mode & 0o777, 0o600);
    assert.equal((await box.run(['list', '--repo', 'r'])).code, 0);
    const secret = (await readFile(path, 'utf8')).trim();
    const kit = (await readdir(box.path)).find((name) => name.startsWith('holdfast-recovery-kit-')) ?? '';
    assert.ok(!(await readFile(box.at(kit), 'utf8')).includes(secret));
    const elsewhere = await box.run(['list', '--repo', 'r'], { env: { XDG_CONFIG_HOME: box.at('other') } });
    assert.equal(elsewhere.code, 10);
    assert.match(elsewhere.stderr, /error\[HF-3102\]/);
  });

  it('key change puts the new passphrase into the key file; the old one still opens a copy made before', async () => {
    await using box = await sandbox();
    const { stderr } = await box.run(['init', '--repo', 'r']);
    const path = /kept in (\S+\.key)/.exec(stderr)?.[1] ?? '';
    const secret = await readFile(path, 'utf8');
    await cp(box.at('r'), box.at('copy'), { recursive: true });
    const env = { HOLDFAST_NEW_PASSPHRASE: passphrase };
    const changed = await box.run(['key', 'change', '--repo', 'r'], { env });
    assert.equal(changed.code, 0, changed.stderr);
    const retired = /kept as (\S+\.key)/.exec(changed.stderr)?.[1] ?? '';
    assert.deepEqual(
      (await readdir(dirname(path))).toSorted(),
      [basename(path), basename(retired)].toSorted(),
    );
    assert.equal(await readFile(path, 'utf8'), `${passphrase}\n`);
    assert.equal((await stat(path)).mode & 0o777, 0o600);
    assert.equal(await readFile(retired, 'utf8'), secret);
    assert.equal((await stat(retired)).mode & 0o777, 0o600);
    const open = async (repo: string, by: Record<string, string>): Promise<number | null> =>
      (await box.run(['list', '--repo', repo], { env: by })).code;
    assert.equal(await open('r', {}), 0);
    assert.equal(await open('r', { HOLDFAST_PASSPHRASE_FILE: retired }), 10);
    assert.equal(await open('copy', { HOLDFAST_PASSPHRASE_FILE: retired }), 0);
  });

  it('a repository without encryption is refused where something says that it should have it', async () => {
    await using box = await sandbox();
    const plain = ['--repo', 'r'];
    await box.run(['init', '--no-encryption', ...plain]);
    const id = /[0-9a-f]{32}/.exec(await readFile(box.at('r', 'holdfast.json'), 'utf8'))?.[0] ?? '';
    const refused = async (env: Record<string, string>): Promise<void> => {
      const { code, stderr } = await box.run(['list', ...plain], { env });
      assert.equal(code, 9, stderr);
      assert.match(stderr, /error\[HF-3109\]/);
    };
    await refused({ HOLDFAST_PASSPHRASE: passphrase });
    await refused({ HOLDFAST_PASSPHRASE_COMMAND: 'false' });
    await refused({ HOLDFAST_ENCRYPTION_ENABLED: 'true' });
    const known = { HOLDFAST_PASSPHRASE: passphrase, HOLDFAST_ENCRYPTION_ENABLED: 'false' };
    assert.equal((await box.run(['list', ...plain], { env: known })).code, 0);
    const keys = box.at('home', '.config', 'holdfast', 'keys');
    await mkdir(keys, { recursive: true });
    await writeFile(join(keys, `${id}.key`), 'secret\n', { mode: 0o600 });
    await refused({});
  });

  it('--no-encryption is explicit, and stays so', async () => {
    await using box = await sandbox();
    const made = await box.run(['init', '--repo', 'r', '--no-encryption']);
    assert.match(made.stderr, /warning: the repository is not encrypted/);
    assert.equal((await box.run(['list', '--repo', 'r'])).code, 0);
    assert.equal((await box.run(['init', '--repo', 'r', '--no-encryption'])).code, 0);
    await box.run(['init', '--repo', 'e'], { env: { HOLDFAST_PASSPHRASE: passphrase } });
    const opposite = await box.run(['init', '--repo', 'e', '--no-encryption']);
    assert.equal(opposite.code, 7);
    assert.match(opposite.stderr, /error\[HF-1122\]/);
  });
});

describe('a password in a password file', () => {
  it('is found, and nothing else is said about it', async () => {
    await using server = await startPostgres();
    await using box = await sandbox();
    const url = new URL(server.url('postgres'));
    const file = box.at('passwords');
    const password = decodeURIComponent(url.password).replaceAll(/[\\:]/g, '\\$&');
    await writeFile(file, `${url.hostname}:${url.port}:*:*:${password}\n`, { mode: 0o600 });
    url.password = '';
    const env = { PGPASSFILE: file, DATABASE_URL: url.href, HOLDFAST_PASSPHRASE: passphrase };
    await box.run(['init', '--repo', 'r'], { env });
    const { code, stderr } = await box.run(['backup', '--repo', 'r', '--quiet'], { env });
    assert.equal(code, 0, stderr);
    assert.equal(stderr, '');
  });
});
