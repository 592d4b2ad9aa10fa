import assert from 'node:assert/strict';
import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { patternedBytes } from '../../testing/bytes.ts';
import { cephBucket, withoutCeph } from '../../testing/ceph.ts';
import { runInProcess } from './in-process.ts';
import { sandbox, type Json, type Ran, type Sandbox } from './program-runner.ts';

const passphrase = 'correct horse battery';

/** The lines of a `.env.example`, filled in by somebody who knows the secrets. */
function filledIn(text: string, secrets: Readonly<Record<string, string>>): string {
  return text.replaceAll(/^#([A-Z0-9_]+)=$/gm, (line, name: string) =>
    secrets[name] === undefined ? line : `${name}='${secrets[name]}'`,
  );
}

/** Everything below a directory: names, modes and bytes. */
function contents(directory: string): Record<string, string> {
  const found: Record<string, string> = {};
  for (const entry of readdirSync(directory, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    found[path.slice(directory.length)] = entry.isFile()
      ? readFileSync(path, 'base64')
      : entry.isSymbolicLink()
        ? 'link'
        : 'directory';
  }
  return found;
}

function rowsOf(file: string): unknown[] {
  using database = new DatabaseSync(file, { readOnly: true });
  return database.prepare('SELECT * FROM session ORDER BY id').all();
}

/** A machine with a directory and a SQLite database that are backed up to `repository`. */
async function service(box: Sandbox, repository: string, more = ''): Promise<string> {
  const config = `# the shop's backups
repository: ${repository}   # off-site
encryption: { passphrase: "${passphrase}" }
${more}sources:
  uploads: { type: files, paths: [srv/uploads] }
  sessions: { type: sqlite, paths: [srv/sessions.db] }
`;
  mkdirSync(box.at('old/srv/uploads/2026'), { recursive: true });
  writeFileSync(box.at('old/srv/uploads/2026/a.bin'), patternedBytes(3_000_000, 1));
  writeFileSync(box.at('old/srv/uploads/b'), 'hello');
  chmodSync(box.at('old/srv/uploads/b'), 0o640);
  symlinkSync('b', box.at('old/srv/uploads/link'));
  using database = new DatabaseSync(box.at('old/srv/sessions.db'));
  database.exec('CREATE TABLE session (id INTEGER PRIMARY KEY, data TEXT)');
  const insert = database.prepare('INSERT INTO session VALUES (?, ?)');
  database.exec('BEGIN');
  for (let id = 0; id < 2000; id += 1) insert.run(id, `session ${id} `.repeat(10));
  database.exec('COMMIT');
  writeFileSync(box.at('old/holdfast.yaml'), config);
  return config;
}

/** What the page "Everything is gone but the bucket" says, on a machine that has nothing. */
async function bringBack(
  box: Sandbox,
  place: string,
  env: Readonly<Record<string, string>>,
  secrets: Readonly<Record<string, string>>,
): Promise<void> {
  const there = box.at('new');
  mkdirSync(there);
  const bare = (args: readonly string[], own: Readonly<Record<string, string>> = {}): Promise<Ran> =>
    box.run(args, { cwd: there, env: { HOME: box.at('new-home'), ...own } });
  const brought = await bare(['init', '--from-repository', place], {
    HOLDFAST_PASSPHRASE: passphrase,
    ...env,
  });
  assert.equal(brought.code, 0, brought.stderr);
  const example = readFileSync(join(there, '.env.example'), 'utf8');
  assert.ok(
    !example.includes(passphrase) && !readFileSync(join(there, 'holdfast.yaml'), 'utf8').includes(passphrase),
  );
  // Without the secrets it says what is missing.
  const refused = await bare(['list']);
  assert.equal(refused.code, 2, refused.stderr);
  assert.match(refused.stderr, /HF-1107.*HOLDFAST_PASSPHRASE/s);
  writeFileSync(join(there, '.env'), filledIn(example, secrets), { mode: 0o600 });

  const listed = await bare(['list', '--json']);
  assert.equal(listed.code, 0, listed.stderr);
  assert.equal((listed.json()['backups'] as Json[]).length, 2);
  for (const [source, target] of [
    ['uploads', 'srv/uploads'],
    ['sessions', 'srv/sessions.db'],
  ] as const) {
    const restored = await bare(['restore', `latest:${source}`, '--to', join(there, target)]);
    assert.equal(restored.code, 0, restored.stderr);
  }
  assert.deepEqual(contents(join(there, 'srv/uploads')), contents(box.at('gone/srv/uploads')));
  assert.deepEqual(rowsOf(join(there, 'srv/sessions.db')), rowsOf(box.at('gone/srv/sessions.db')));
  // And the backups go on, as they were.
  const again = await bare(['backup', '--json']);
  assert.equal(again.code, 0, again.stderr);
}

describe('init --from-repository', () => {
  it('brings everything back on a machine with nothing but the place and the passphrase', async () => {
    await using box = await sandbox();
    const config = await service(box, box.at('bucket'));
    const old = { cwd: box.at('old') };
    for (const verb of ['init', 'backup']) assert.equal((await box.run([verb], old)).code, 0, verb);
    renameSync(box.at('old'), box.at('gone'));
    rmSync(box.home, { recursive: true });
    await bringBack(box, box.at('bucket'), {}, { HOLDFAST_PASSPHRASE: passphrase });
    const kept = readFileSync(box.at('new', 'holdfast.yaml'), 'utf8');
    assert.equal(kept, config.replace(`"${passphrase}"`, '"${HOLDFAST_PASSPHRASE}"'));
  });

  it('does so from a bucket of S3', { skip: withoutCeph(), timeout: 300_000 }, async () => {
    const { bucket, endpoint, users } = await cephBucket();
    await using box = await sandbox();
    const { accessKeyId, secretAccessKey } = users.owner;
    const place = `s3://${bucket}/shop`;
    const s3 = `s3: { endpoint: "${endpoint}", access_key_id: ${accessKeyId}, secret_access_key: "${secretAccessKey}" }\n`;
    await service(box, place, s3);
    const old = { cwd: box.at('old') };
    for (const verb of ['init', 'backup']) {
      const ran = await box.run([verb], old);
      assert.equal(ran.code, 0, ran.stderr);
    }
    renameSync(box.at('old'), box.at('gone'));
    rmSync(box.home, { recursive: true });
    const env = {
      HOLDFAST_S3_ENDPOINT: endpoint,
      HOLDFAST_S3_ACCESS_KEY_ID: accessKeyId,
      HOLDFAST_S3_SECRET_ACCESS_KEY: secretAccessKey,
    };
    await bringBack(box, place, env, {
      HOLDFAST_PASSPHRASE: passphrase,
      HOLDFAST_S3_SECRET_ACCESS_KEY: secretAccessKey,
    });
  });

  it('chooses the machine of the newest backup or the one named, and keeps what has changed', async () => {
    await using box = await sandbox();
    await service(box, box.at('bucket'));
    const run = async (...args: string[]): Promise<Ran> =>
      await runInProcess(box, args, { cwd: box.at('old'), env: { HOLDFAST_PASSPHRASE: passphrase } });
    await run('init');
    const saved = (): string[] => readdirSync(box.at('bucket', 'config')).toSorted();
    assert.equal((await run('backup')).code, 0);
    assert.equal(saved().length, 1);
    assert.equal((await run('backup')).code, 0);
    assert.equal(saved().length, 1);
    writeFileSync(
      box.at('old/holdfast.yaml'),
      `${readFileSync(box.at('old/holdfast.yaml'), 'utf8')}jobs: 2\n`,
    );
    // What is typed once says nothing of how backups are made.
    assert.equal((await run('backup', '--repo', box.at('bucket'))).code, 0);
    assert.equal((await run('backup', '--from', `files:${box.at('old/srv/uploads')}`)).code, 0);
    assert.equal((await run('backup', 'sessions', '--dry-run')).code, 0);
    assert.equal(saved().length, 1);
    assert.equal((await run('backup', 'sessions')).code, 0);
    assert.equal(saved().length, 2);

    mkdirSync(box.at('new'));
    const from = async (...args: string[]): Promise<Ran> =>
      await runInProcess(box, ['init', '--from-repository', box.at('bucket'), ...args], {
        cwd: box.at('new'),
        env: { HOLDFAST_PASSPHRASE: passphrase },
      });
    const unknown = await from('--host', 'elsewhere');
    assert.equal(unknown.code, 6, unknown.stderr);
    assert.match(unknown.stderr, /HF-1126.*elsewhere.*\n.*--host/s);
    assert.deepEqual(readdirSync(box.at('new')), []);
    const brought = await from('--out', 'etc.yaml', '--json');
    assert.equal(brought.code, 0, brought.stderr);
    const { configurations, written, variables, sources, configuration } = brought.json();
    assert.equal((configurations as Json[]).length, 2);
    assert.deepEqual(written, { config: 'etc.yaml', env: '.env.example' });
    assert.deepEqual(variables, [
      { name: 'HOLDFAST_PASSPHRASE', value: null, required: true, lines: [3], set: true },
    ]);
    assert.deepEqual(
      (sources as Json[]).map(({ source }) => String(source)).toSorted((a, b) => a.localeCompare(b)),
      ['sessions', 'uploads'],
    );
    assert.match(readFileSync(box.at('new/etc.yaml'), 'utf8'), /jobs: 2/);
    assert.ok(String((configuration as Json)['object']).endsWith(saved()[1] ?? '?'));
    const refused = await from('--out', 'etc.yaml');
    assert.equal(refused.code, 4);
    assert.match(refused.stderr, /HF-1127/);
    assert.equal((await from('--out', 'etc.yaml', '--force')).code, 0);
    assert.deepEqual(readdirSync(box.at('new')).toSorted(), ['.env.example', 'etc.yaml']);
  });

  it('tells of the environment where there was no file, and refuses what does not belong together', async () => {
    await using box = await sandbox();
    await service(box, './bucket');
    rmSync(box.at('old/holdfast.yaml'));
    const env = {
      HOLDFAST_PASSPHRASE: passphrase,
      HOLDFAST_REPOSITORY: box.at('bucket'),
      HOLDFAST_SOURCES_UPLOADS_TYPE: 'files',
      HOLDFAST_SOURCES_UPLOADS_PATHS: box.at('old/srv/uploads'),
      HOLDFAST_RETENTION_KEEP_LAST: '7',
    };
    const run = async (...args: string[]): Promise<Ran> => await runInProcess(box, args, { env });
    await run('init');
    const none = await run('init', '--from-repository', box.at('bucket'), '--out', box.at('x', 'y.yaml'));
    assert.equal(none.code, 6);
    assert.match(none.stderr, /HF-1126.*config template/s);
    assert.equal((await run('backup')).code, 0);
    mkdirSync(box.at('new'));
    const brought = await run(
      'init',
      '--from-repository',
      box.at('bucket'),
      '--out',
      box.at('new/holdfast.yaml'),
    );
    assert.equal(brought.code, 0, brought.stderr);
    writeFileSync(
      box.at('new/.env'),
      filledIn(readFileSync(box.at('new/.env.example'), 'utf8'), { HOLDFAST_PASSPHRASE: passphrase }),
    );
    const listed = await runInProcess(box, ['backup', '--json'], { cwd: box.at('new') });
    assert.equal(listed.code, 0, listed.stderr);
    for (const args of [
      ['--host', 'x'],
      ['--from-repository', 'x', '--repo', 'y'],
      ['--from-repository', 'x', '--no-encryption'],
    ])
      assert.equal((await run('init', ...args)).code, 2, args.join(' '));
  });

  it('is in the copies, too', async () => {
    await using box = await sandbox();
    await service(box, './bucket', `repositories: { main: { url: ./bucket }, nas: { url: ./nas } }\n`);
    const text = readFileSync(box.at('old/holdfast.yaml'), 'utf8').replace(
      'repository: ./bucket   # off-site\n',
      '',
    );
    writeFileSync(box.at('old/holdfast.yaml'), text);
    const run = async (...args: string[]): Promise<Ran> =>
      await runInProcess(box, args, { cwd: box.at('old') });
    await run('init');
    const made = await run('backup');
    assert.equal(made.code, 0, made.stderr);
    assert.deepEqual(readdirSync(box.at('old/nas/config')), readdirSync(box.at('old/bucket/config')));
  });
});
