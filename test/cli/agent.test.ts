import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { runInProcess } from './in-process.ts';
import { sandbox, type Json, type Ran, type Sandbox } from './program-runner.ts';

const passphrase = 'correct horse battery staple';

interface Machines {
  readonly box: Sandbox;
  readonly owner: (...args: string[]) => Promise<Ran>;
  readonly agent: (...args: string[]) => Promise<Ran>;
}

/** One directory, and two who use it: with the passphrase, and with credentials that only add. */
async function machines(box: Sandbox): Promise<Machines> {
  await mkdir(box.at('docs'));
  await writeFile(box.at('docs', 'one'), 'contents\n');
  const database = new DatabaseSync(box.at('app.db'));
  database.exec('CREATE TABLE t (x); INSERT INTO t VALUES (1), (2), (3)');
  database.close();
  await writeFile(
    box.at('holdfast.yaml'),
    'repository: ./store\nsources:\n  docs: { type: files, paths: [docs] }\n  app: { type: sqlite, paths: [app.db] }\n',
  );
  const owner = (...args: string[]): Promise<Ran> =>
    runInProcess(box, args, { env: { HOLDFAST_PASSPHRASE: passphrase } });
  const agent = (...args: string[]): Promise<Ran> =>
    runInProcess(box, args, {
      env: { HOLDFAST_ENCRYPTION_AGENT_FILE: box.at('agent.json'), XDG_CACHE_HOME: box.at('agent-cache') },
    });
  const init = await owner('init');
  assert.equal(init.code, 0, init.stderr);
  const made = await owner('key', 'agent', '--out', 'agent.json', '--label', 'web', '--json');
  assert.equal(made.code, 0, made.stderr);
  assert.equal((made.json()['agent'] as Json)['label'], 'web');
  return { box, owner, agent };
}

test('a machine with the credentials of an agent backs up, and whoever has the passphrase restores', async () => {
  await using box = await sandbox();
  const { owner, agent } = await machines(box);
  assert.equal((await stat(box.at('agent.json'))).mode & 0o777, 0o600);
  const backup = await agent('backup', '--json');
  assert.equal(backup.code, 0, backup.stderr);
  const again = await agent('backup', '--json');
  assert.equal(again.code, 0, again.stderr);
  const made = again.lines().at(-1)?.['backups'] as Json[] | undefined;
  for (const { bytes_added: added } of made ?? []) assert.ok(Number(added) < 4000);
  assert.equal((await owner('verify', '--read-data')).code, 0);
  const list = (await owner('list', '--json')).json()['backups'] as Json[];
  assert.equal(list.length, 4);
  const files = await owner('restore', 'latest:docs', '--to', box.at('back'), '--yes');
  assert.equal(files.code, 0, files.stderr);
  assert.equal(
    await readFile(box.at('back', 'docs', 'one'), 'utf8').catch(() =>
      readFile(box.at('back', 'one'), 'utf8'),
    ),
    'contents\n',
  );
  const sqlite = await owner('restore', 'latest:app', '--to', box.at('back.db'), '--yes');
  assert.equal(sqlite.code, 0, sqlite.stderr);
  const restored = new DatabaseSync(box.at('back.db'), { readOnly: true });
  assert.equal(restored.prepare('SELECT count(*) AS n FROM t').get()?.['n'], 3);
  restored.close();
});

test('every command that reads or removes says that these credentials cannot', async () => {
  await using box = await sandbox();
  const { agent } = await machines(box);
  assert.equal((await agent('backup')).code, 0);
  const doctor = (await agent('doctor', '--json')).json()['findings'] as Json[] | undefined;
  assert.ok(
    doctor?.some(({ check, level }) => check === 'agent' && level === 'ok'),
    JSON.stringify(doctor),
  );
  const commands = [
    ['list'],
    ['info', 'latest'],
    ['size'],
    ['restore', 'latest:docs', '--to', box.at('back')],
    ['export', 'latest:docs', '--to', box.at('back.tar')],
    ['verify'],
    ['prune'],
    ['clean', '--keep-last', '1'],
    ['forget', 'latest'],
    ['pin', 'latest'],
    ['sync', '--to', box.at('copy')],
    ['key', 'list'],
    ['key', 'add'],
    ['key', 'agent', '--out', box.at('other.json')],
  ];
  for (const command of commands) {
    const ran = await agent(...command);
    assert.equal(ran.code, 4, `${command.join(' ')}: ${ran.stderr}`);
    assert.match(ran.stderr, /HF-3111/, command.join(' '));
  }
});

test('a passphrase from the environment takes the place of the credentials in the file', async () => {
  await using box = await sandbox();
  const { agent } = await machines(box);
  assert.equal((await agent('backup')).code, 0);
  const settings = await readFile(box.at('holdfast.yaml'), 'utf8');
  await writeFile(box.at('holdfast.yaml'), `${settings}encryption: { agent_file: agent.json }\n`);
  const refused = await runInProcess(box, ['list'], {});
  assert.equal(refused.code, 4);
  const ran = await runInProcess(box, ['list'], { env: { HOLDFAST_PASSPHRASE: passphrase } });
  assert.equal(ran.code, 0, ran.stderr);
});

test('credentials that are damaged, missing or of another repository are named, and no file is overwritten', async () => {
  await using box = await sandbox();
  const { owner, agent } = await machines(box);
  const taken = await owner('key', 'agent', '--out', 'agent.json');
  assert.equal(taken.code, 4);
  assert.match(taken.stderr, /HF-3114/);
  const good = await readFile(box.at('agent.json'), 'utf8');
  await writeFile(box.at('agent.json'), good.replace('"label": "web"', '"label": "wet"'));
  const damaged = await agent('backup');
  assert.match(damaged.stderr, /HF-3112/);
  await writeFile(box.at('agent.json'), 'some words\n');
  assert.match((await agent('backup')).stderr, /HF-3112/);
  await writeFile(box.at('agent.json'), good);
  const elsewhere = ['--repo', box.at('other')];
  assert.equal((await owner('init', ...elsewhere)).code, 0);
  assert.match((await agent('backup', ...elsewhere)).stderr, /HF-3112/);
  execFileSync('rm', [box.at('agent.json')]);
  assert.notEqual((await agent('backup')).code, 0);
});

test('the policy for S3 allows to add, to list, and nothing else', async () => {
  await using box = await sandbox();
  const at = async (...args: string[]): Promise<Json[]> => {
    const ran = await runInProcess(box, ['key', 'agent', '--policy', 's3', ...args], {
      env: { HOLDFAST_S3_OBJECT_LOCK: '30d' },
    });
    assert.equal(ran.code, 0, ran.stderr);
    return (JSON.parse(ran.stdout) as Json)['Statement'] as Json[];
  };
  const aws = await at('--repo', 's3://my-bucket/backups');
  const actions = aws.map(({ Action }) => String(Action));
  assert.deepEqual(
    actions.filter((_action, index) => aws[index]?.['Effect'] === 'Allow'),
    ['s3:PutObject', 's3:ListBucket', 's3:GetObject', 's3:PutObjectRetention'],
  );
  assert.deepEqual(aws[0]?.['Condition'], { Null: { 's3:if-none-match': 'false' } });
  assert.deepEqual(aws[2]?.['Resource'], [
    'arn:aws:s3:::my-bucket/backups/holdfast.json',
    'arn:aws:s3:::my-bucket/backups/gc/marks/*',
  ]);
  const other = await at('--repo', 's3://my-bucket?endpoint=https://ceph.example.com');
  assert.equal(other[0]?.['Condition'], undefined);
  const nowhere = await runInProcess(box, ['key', 'agent', '--policy', 's3', '--repo', box.at('r')]);
  assert.equal(nowhere.code, 2);
  assert.equal((await runInProcess(box, ['key', 'agent'])).code, 2);
});
