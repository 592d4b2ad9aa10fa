import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { DatabaseSync } from 'node:sqlite';
import { after, before, describe, it } from 'node:test';
import { runInProcess } from '../cli/in-process.ts';
import { sandbox, type Json, type Ran, type Sandbox } from '../cli/program-runner.ts';

describe('an imported backup among others', () => {
  let box: Sandbox;
  let taken = '';
  let imported = '';
  let said: Ran;

  before(async () => {
    box = await sandbox();
    for (const name of ['shop.db', 'old.db']) {
      using database = new DatabaseSync(box.at(name));
      database.exec(`CREATE TABLE t (name); INSERT INTO t VALUES ('${name}')`);
    }
    await ok('init', '--no-encryption');
    taken = await backup('backup', '--from', 'sqlite:shop.db');
    said = await run('import', 'old.db', '--source', 'shop');
    const { backups } = (await ok('list', '--json', '--limit', '1')).json();
    imported = String((backups as Json[])[0]?.['id']);
    assert.notEqual(imported, taken);
  });
  after(() => box[Symbol.asyncDispose]());

  const run = (...args: string[]): Promise<Ran> =>
    runInProcess(box, args, { env: { HOLDFAST_REPOSITORY: box.at('r') } });
  async function ok(...args: string[]): Promise<Ran> {
    const ran = await run(...args);
    assert.equal(ran.code, 0, ran.stderr);
    return ran;
  }
  async function backup(...args: string[]): Promise<string> {
    const { backups } = (await ok(...args, '--json')).lines().at(-1) ?? {};
    return String((backups as Json[])[0]?.['id']);
  }

  it('is what its id means, and neither the latest nor what a time finds', async () => {
    for (const reference of ['latest', 'latest:shop', '2999-01-01', '2999-01-01:shop']) {
      const { stdout } = await ok('info', reference, '--json');
      assert.ok(stdout.includes(taken) && !stdout.includes(imported), `${reference}: ${stdout}`);
    }
    await ok('restore', 'latest:shop', '--to', 'restored.db');
    using database = new DatabaseSync(box.at('restored.db'));
    assert.equal(database.prepare('SELECT name FROM t').get()?.['name'], 'shop.db');
    assert.ok((await ok('info', imported.slice(0, 8), '--json')).stdout.includes(imported));
  });

  it('is told how to be named', () => {
    assert.equal(said.code, 0, said.stderr);
    assert.match(said.stdout + said.stderr, new RegExp(`holdfast restore ${imported.slice(0, 8)} `));
  });

  it('does not make a source fresh for the monitor that the documentation shows', async (context) => {
    if (spawnSync('jq', ['--version']).error !== undefined) return context.skip('jq is not installed');
    const page = await readFile(new URL('../../docs/operations.md', import.meta.url), 'utf8');
    const [, options = '', filter = ''] =
      /holdfast list (--source shop [^|]*)\|\s*jq -e '([^']*fromdateiso8601[^']*)'/.exec(page) ?? [];
    const { backups } = (await ok('list', ...options.trim().split(/\s+/))).json() as { backups: Json[] };
    assert.equal(backups.length, 2);
    const isFresh = (of: readonly Json[]): boolean =>
      spawnSync('jq', ['-e', filter], { input: JSON.stringify({ backups: of }) }).status === 0;
    const old = backups.map((one) =>
      one['id'] === taken ? { ...one, started_at: '2026-01-01T00:00:00.000Z' } : one,
    );
    const now = new Date().toISOString();
    const fresh = backups.map((one) => (one['id'] === taken ? { ...one, started_at: now } : one));
    assert.deepEqual(
      [isFresh(fresh), isFresh(old), isFresh(backups.slice(1)), isFresh([])],
      [true, false, false, false],
    );
  });
});
