import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { patternedBytes } from '../../testing/bytes.ts';
import { sandbox, type Json, type Sandbox } from '../cli/program-runner.ts';

/** How many times the program is killed; HOLDFAST_KILLS=100 for the full trial. */
const kills = Number(process.env['HOLDFAST_KILLS'] ?? 2);
const seed = Number(process.env['HOLDFAST_SEED'] ?? Date.now() % 1_000_000);
const env = { HOLDFAST_PASSPHRASE: 'correct horse battery' };

test(
  `files and SQLite, killed ${kills} times at random moments: no finished backup is lost (seed ${seed})`,
  { timeout: 1_200_000 },
  async () => {
    await using box = await sandbox();
    let state = seed;
    const random = (): number => (state = (state * 48_271 + 1) % 2_147_483_647) / 2_147_483_647;
    const [tree, database] = [box.at('tree'), box.at('data', 'app.db')];
    makeTree(tree);
    const sqlite = makeDatabase(box.at('data'), database);
    await writeFile(
      box.at('holdfast.yaml'),
      `repository: repo\nsources:\n  tree: { type: files, paths: [tree] }\n  data: { type: sqlite, paths: [data/*.db] }\n`,
    );
    await ok(box, 'init');
    const startedAt = performance.now();
    const finished = idsIn(await ok(box, 'backup'));
    const fullMs = performance.now() - startedAt;
    for (let kill = 0; kill < kills; kill += 1) {
      change(tree, sqlite, kill);
      const running = box.start(['backup', '--json'], { env });
      await delay(random() * fullMs * 1.1);
      running.kill('SIGKILL');
      const { code, stdout } = await running.done;
      if (code === 0) finished.push(...idsIn(JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '') as Json));
      const visible = await listed(box);
      for (const id of finished) assert.ok(visible.includes(id), `finished backup ${id} is not there`);
      finished.splice(0, finished.length, ...visible);
      assert.equal((await ok(box, 'verify'))['ok'], true);
    }
    await ok(box, 'backup');
    assert.equal((await ok(box, 'verify', '--read-data'))['ok'], true);
    for (const [index, id] of (await listed(box)).entries())
      await ok(box, 'restore', id, '--to', box.at(`restored-${index}`));
    await ok(box, 'restore', 'latest:tree', '--to', box.at('last-tree'));
    await ok(box, 'restore', 'latest:data', '--to', box.at('last.db'));
    assert.equal(spawnSync('diff', ['-r', tree, box.at('last-tree')]).stdout.toString(), '');
    assert.deepEqual(rowsOf(box.at('last.db')), rowsOf(database));
    sqlite.close();
    // The directory of temporary copies is private to the sandbox's tests; nothing of ours may stay in it for ever.
    assert.deepEqual(idsIn(await ok(box, 'backup')).length, 2);
  },
);

function makeTree(tree: string): void {
  for (let folder = 0; folder < 30; folder += 1) {
    mkdirSync(join(tree, `d${folder}`), { recursive: true });
    for (let file = 0; file < 60; file += 1) write(tree, folder, file, 0);
  }
  writeFileSync(join(tree, 'large'), patternedBytes(30_000_000, 99));
}

function write(tree: string, folder: number, file: number, round: number): void {
  const bytes = patternedBytes(500 + file * 300, round * 10_000 + folder * 100 + file);
  writeFileSync(join(tree, `d${folder}`, `f${file}`), bytes);
}

function makeDatabase(directory: string, path: string): DatabaseSync {
  mkdirSync(directory);
  const database = new DatabaseSync(path);
  database.exec('PRAGMA journal_mode = WAL; CREATE TABLE item (id INTEGER PRIMARY KEY, body BLOB); BEGIN');
  const insert = database.prepare('INSERT INTO item VALUES (?, randomblob(300))');
  for (let id = 1; id <= 40_000; id += 1) insert.run(id);
  database.exec('COMMIT');
  return database;
}

function change(tree: string, database: DatabaseSync, round: number): void {
  for (let folder = 0; folder < 30; folder += 1)
    for (let file = round % 5; file < 60; file += 5) write(tree, folder, file, round + 1);
  database.exec(`UPDATE item SET body = randomblob(300) WHERE id % 7 = ${round % 7}`);
}

function rowsOf(path: string): unknown {
  using database = new DatabaseSync(path, { readOnly: true });
  return database
    .prepare('SELECT count(*), sum(length(body)), group_concat(hex(substr(body, 1, 4))) FROM item')
    .get();
}

async function ok(box: Sandbox, ...args: string[]): Promise<Json> {
  const ran = await box.run([...args, '--json'], { env });
  assert.equal(ran.code, 0, `${args.join(' ')}: ${ran.stdout.slice(-3000)}${ran.stderr}`);
  return ran.lines().at(-1) ?? {};
}

function idsIn(summary: Json): string[] {
  return (summary['backups'] as Json[]).map(({ id }) => String(id));
}

async function listed(box: Sandbox): Promise<string[]> {
  return idsIn(await ok(box, 'list'));
}
