import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { childrenOf, isAlive, killProcess } from '../../src/app/local-postgres/processes.ts';
import { until } from '../../testing/until.ts';
import type { Json, Running } from './program-runner.ts';
import { lockTable, shop, waitingFor, type Shop } from './shop.ts';

/** In every test somebody holds a table, so that a backup of it stands still in the middle. */
describe('a backup that is broken off', () => {
  let the: Shop;
  let lock: ReturnType<typeof lockTable>;
  let backups: number;

  before(async () => {
    the = await shop();
  });
  after(() => the[Symbol.asyncDispose]());

  beforeEach(async () => {
    backups = await the.backupCount();
    await the.server.psql('CREATE TABLE locked (a int)', 'shop');
    lock = lockTable(the.server, 'shop', 'locked');
    await lock.held;
  });
  afterEach(async () => {
    await lock.end();
    await the.server.psql('DROP TABLE locked', 'shop');
    // Whatever was left behind is no hindrance.
    await the.ok(['backup']);
    await the.ok(['verify', '--read-data']);
  });

  /** A backup that waits for the table, and the programs it has started. */
  async function inTheMiddle(args: readonly string[] = [], env: Readonly<Record<string, string>> = {}) {
    const running = the.box.start(['backup', ...args], { env: { ...the.env, ...env } });
    await the.server.psql(waitingFor('locked'), 'shop');
    const children = await childrenOf(running.pid);
    assert.ok(children.length > 0);
    return { running, children };
  }

  async function endsWith130(running: Running) {
    const ran = await running.done;
    assert.equal(ran.code, 130, ran.stderr);
    return ran;
  }

  it('by a table that stays locked: who holds it is told', async () => {
    const source = {
      HOLDFAST_SOURCES_SHOP_URL: the.server.url('shop'),
      HOLDFAST_SOURCES_SHOP_LOCK_TIMEOUT: '300ms',
    };
    const { stderr } = await the.fails(['backup'], 7, 'HF-5010', { env: source });
    assert.match(stderr, /for a lock on public\.locked in database shop, which process \d+ of user postgres/);
    assert.equal(await the.backupCount(), backups);
  });

  for (const [signal, word] of [
    ['SIGINT', 'Ctrl-C'],
    ['SIGTERM', 'SIGTERM'],
  ] as const) {
    it(`by ${signal}: stops in good order, exits with 130, leaves nothing visible and nothing running`, async () => {
      const { running, children } = await inTheMiddle(['--json', '--log-level', 'debug']);
      running.kill(signal);
      const ran = await endsWith130(running);
      assert.match(ran.stderr, new RegExp(`${word}: stopping`));
      const summary = ran.lines().at(-1) ?? {};
      assert.equal((summary['error'] as Json)['code'], 'HF-1003');
      assert.deepEqual([summary['backups'], summary['failed'], summary['not_made']], [[], [], ['shop']]);
      assert.deepEqual(children.filter(isAlive), []);
      assert.equal(await the.backupCount(), backups);
    });
  }

  it('by Ctrl-C: what was finished before is in the summary, and what was not made', async () => {
    const url = the.server.url('postgres');
    const { running } = await inTheMiddle(['--json'], {
      HOLDFAST_SOURCES_FIRST_URL: url,
      HOLDFAST_SOURCES_SECOND_URL: the.server.url('shop'),
      HOLDFAST_SOURCES_THIRD_URL: url,
      HOLDFAST_PARALLEL_SOURCES: '1',
    });
    running.kill('SIGINT');
    const ran = await endsWith130(running);
    const summary = ran.lines().at(-1) ?? {};
    assert.deepEqual(
      [summary['type'], summary['ok'], (summary['error'] as Json)['code']],
      ['summary', false, 'HF-1003'],
    );
    const made = summary['backups'] as Json[];
    assert.deepEqual(
      made.map(({ source }) => source as unknown),
      ['first'],
    );
    assert.deepEqual([summary['failed'], summary['not_made']], [[], ['second', 'third']]);
    assert.equal(await the.backupCount(), backups + 1);
    await the.ok(['info', String(made[0]?.['id'])]);
  });

  it('by a second Ctrl-C: exits with 130 at once and says that what is left is harmless', async () => {
    const { running, children } = await inTheMiddle();
    // They do not follow the first one: the program waits for them until it has had enough.
    for (const child of children) process.kill(child, 'SIGSTOP');
    running.kill('SIGINT');
    await running.sees('Ctrl-C: stopping');
    running.kill('SIGINT');
    const ran = await endsWith130(running);
    for (const child of children) killProcess(child);
    await until(() => !children.some(isAlive), 'the end of its programs');
    assert.match(ran.stderr, /Ctrl-C: stopped at once; what is left half done is harmless/);
    assert.equal(await the.backupCount(), backups);
  });

  it('by kill -9: nothing half-done is visible', async () => {
    const { running } = await inTheMiddle();
    running.kill('SIGKILL');
    assert.equal((await running.done).code, null);
    assert.equal(await the.backupCount(), backups);
  });
});
