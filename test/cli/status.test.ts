import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { ManualClock } from '../../testing/clock.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import { openStorage } from '../../src/storage/open.ts';
import { archiveTimeline } from '../../testing/recovery-model.ts';
import { defaultStorageSettings } from '../../testing/storage-settings.ts';
import { ClusterWorld } from '../operations/cluster-world.ts';
import { runInProcess } from './in-process.ts';
import { sandbox, type Json, type Ran, type Sandbox } from './program-runner.ts';

const env = { HOLDFAST_PASSPHRASE: 'correct horse battery' };
const hour = 3_600_000;

interface Service extends AsyncDisposable {
  readonly box: Sandbox;
  readonly clock: ManualClock;
  readonly run: (...args: readonly string[]) => Promise<Ran>;
  readonly status: (...args: readonly string[]) => Promise<Json & { readonly code: number | null }>;
}

async function service(settings: string): Promise<Service> {
  const box = await sandbox();
  const clock = new ManualClock(Date.UTC(2026, 10, 22, 3));
  mkdirSync(box.at('docs'));
  writeFileSync(box.at('docs', 'a'), 'hello');
  writeFileSync(box.at('holdfast.yaml'), settings);
  const run = (...args: readonly string[]): Promise<Ran> => runInProcess(box, args, { env, clock });
  const made = await run('init');
  assert.equal(made.code, 0, made.stderr);
  const status: Service['status'] = async (...args) => {
    const ran = await run('status', '--json', ...args);
    return { ...ran.json(), code: ran.code };
  };
  return { box, clock, run, status, [Symbol.asyncDispose]: () => box[Symbol.asyncDispose]() };
}

const source = 'sources: { docs: { type: files, paths: [docs], max_age: 26h } }\n';
const withCopy = `repositories:\n  main: { url: ./main }\n  nas: { url: ./nas, with_backup: false }\n${source}`;

const about = ({ amiss }: Json): unknown[] =>
  (amiss as Json[]).map((one): unknown => [one['level'], one['about'], one['hint']]);

/** Accepts connections and never says a word. */
async function silentServer(): Promise<AsyncDisposable & { readonly port: number }> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => sockets.add(socket.on('error', () => {})));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

describe('holdfast status', () => {
  it('ends with 0 when all is well, and with 1 when a source has no backup, or none that is young enough', async () => {
    await using use = await service(`repository: ./main\n${source}`);
    const { clock, run, status } = use;
    const none = await status();
    assert.equal(none.code, 1);
    assert.equal((none['error'] as Json)['code'], 'HF-6401');
    assert.deepEqual(about(none), [['critical', 'docs', 'holdfast backup docs']]);

    assert.equal((await run('backup')).code, 0);
    await clock.advance(25 * hour);
    const well = await status('--sizes');
    assert.equal(well.code, 0, JSON.stringify(well));
    assert.deepEqual(well['amiss'], []);
    const [docs] = well['sources'] as Json[];
    assert.equal(docs?.['age_seconds'], 25 * 3600);
    assert.equal(docs['expected_before'], '2026-11-23T05:00:00.000Z');
    const [place] = well['places'] as Json[];
    assert.equal(place?.['backups'], 1);
    const { bytes, pack_bytes: packBytes } = place['sizes'] as { bytes: number; pack_bytes: number };
    assert.ok(bytes > packBytes && packBytes > 0);
    assert.equal((well['recent'] as Json[]).length, 1);
    const shown = await run('status');
    assert.equal(shown.code, 0);
    assert.match(shown.stdout, /docs .* 25 h .* ok\n[^]*never verified[^]*all is well/);

    await clock.advance(2 * hour);
    const late = await status();
    assert.equal(late.code, 1);
    assert.match(JSON.stringify(late['amiss']), /docs is 27 hours old, and 26 hours are allowed/);
    assert.equal((await run('backup')).code, 0);
    assert.equal((await status()).code, 0);
  });

  it('tells what the last verification said, and what it did not see', async () => {
    await using use = await service(`repository: ./main\n${source}`);
    const { box, run, status, clock } = use;
    await run('verify');
    // That there was no backup then is no longer so.
    await run('backup');
    assert.equal((await status()).code, 0);
    // Reports sort by time.
    await clock.advance(60_000);
    assert.equal((await run('verify', '--read-data')).code, 0);
    await clock.advance(hour);
    const verified = (await status())['verification'] as Json;
    assert.deepEqual(
      [verified['at'], verified['level'], verified['ok'], verified['data_read_at']],
      ['2026-11-22T03:01:00.000Z', 'read-data', true, '2026-11-22T03:01:00.000Z'],
    );
    const [folder = ''] = readdirSync(box.at('main', 'packs'));
    const [pack = ''] = readdirSync(box.at('main', 'packs', folder));
    truncateSync(box.at('main', 'packs', folder, pack), 100);
    assert.notEqual((await run('verify')).code, 0);
    const damaged = await status();
    assert.equal(damaged.code, 1);
    assert.equal(about(damaged).length, 1);
    assert.match(JSON.stringify(damaged['amiss']), /the last verification, of 2026-11-22T04/);
  });

  it('tells how far a cluster recovers, and what WAL is missing', async () => {
    await using box = await sandbox();
    const storage = await openStorage(box.at('store'), {
      cwd: box.path,
      home: box.home,
      clock: systemClock,
      env: {},
      settings: defaultStorageSettings,
      create: true,
    });
    const world = await ClusterWorld.make({ storage });
    const on = world.first;
    world.write(on, 500_000);
    const start = world.position(on);
    world.write(on, 2_000_000);
    const backup = await world.backUp(1, start, world.position(on));
    world.write(on, 3_000_000);
    await archiveTimeline(world.archive, world.model, on);
    writeFileSync(
      box.at('holdfast.yaml'),
      'repository: ./store\nsources: { main: { type: postgres-cluster, url: "postgres://localhost:1/x" } }\n',
    );
    const well = await runInProcess(box, ['status', '--json']);
    assert.equal(well.code, 0, well.stdout);
    const [main] = well.json()['sources'] as Json[];
    assert.ok(main !== undefined);
    const { windows, gaps, error } = main['wal'] as { windows: Json[]; gaps: number; error: unknown };
    assert.deepEqual([windows.map((one): unknown => one['backups']), gaps, error], [[[backup.id]], 0, null]);
    rmSync(box.at('store', 'wal'), { recursive: true });
    const lost = await runInProcess(box, ['status']);
    assert.equal(lost.code, 1, lost.stderr);
    assert.match(lost.stdout, /main .* WAL MISSING\n[^]*main: no moment can be recovered to/);
  });

  it('counts what a copy lacks, and not what was forgotten there', async () => {
    await using use = await service(withCopy);
    const { run, status } = use;
    await run('backup');
    const first = (await run('list', '--json')).json()['backups'] as Json[];
    const absent = await status();
    assert.equal(absent.code, 3);
    assert.equal((absent['error'] as Json)['code'], 'HF-6402');
    assert.match(JSON.stringify(about(absent)), /"warning","nas","is it mounted\?.*holdfast sync --to nas/);
    await run('sync');
    assert.equal((await status()).code, 0);
    await run('backup');
    const behind = await status();
    assert.equal(behind.code, 3);
    assert.deepEqual(about(behind), [['warning', 'nas', 'holdfast sync --to nas']]);
    const listed = (await run('list', '--json')).json()['backups'] as Json[];
    const nas = (behind['places'] as Json[]).find(({ name }) => name === 'nas');
    assert.deepEqual(nas?.['behind'], { backups: 1, ids: [listed[1]?.['id']] });
    await run('sync');
    const id = String(first[0]?.['id']);
    const forgotten = await run('forget', id, '--repo', 'nas', '--yes', '--force');
    assert.equal(forgotten.code, 0, forgotten.stderr);
    const after = await status();
    assert.equal(after.code, 0, JSON.stringify(after['amiss']));
    const there = (after['places'] as Json[]).find(({ name }) => name === 'nas');
    assert.deepEqual(
      [there?.['backups'], (there?.['behind'] as Json | undefined)?.['backups'], there?.['forgotten']],
      [1, 0, 1],
    );
    const told = (await run('info', id, '--json')).json()['copies'] as Json[];
    assert.deepEqual(
      told.map(({ name, has }): unknown[] => [name, has]),
      [['nas', false]],
    );
    assert.match((await run('info', 'latest')).stdout, /copy nas: has it/);
  });

  it('is critical over a copy that was found damaged, and says nothing with --quiet while all is well', async () => {
    await using use = await service(withCopy);
    const { box, run, status } = use;
    await run('backup');
    await run('sync');
    const quiet = await run('status', '--quiet');
    assert.deepEqual([quiet.code, quiet.stdout, quiet.stderr], [0, '', '']);
    const packs = readdirSync(box.at('nas', 'packs'), { recursive: true, withFileTypes: true });
    const pack = packs.find((entry) => entry.isFile());
    assert.ok(pack !== undefined);
    const path = join(pack.parentPath, pack.name);
    rmSync(path);
    writeFileSync(path, 'damaged');
    assert.equal((await run('verify', '--repo', 'nas', '--read-data')).code, 9);
    const damaged = await status();
    assert.equal(damaged.code, 1);
    assert.deepEqual(about(damaged), [['critical', 'nas', 'holdfast verify --repo nas --repair']]);
    assert.match((await run('status', '--quiet')).stderr, /CRITICAL: the last verification of the copy nas/);
  });

  it('looks at copies when the primary is gone, and says so', async () => {
    await using use = await service(withCopy);
    const { box, run, status } = use;
    await run('backup');
    await run('sync');
    renameSync(box.at('main'), box.at('gone'));
    const found = await status();
    assert.equal(found.code, 1);
    const [main, nas] = found['places'] as Json[];
    assert.deepEqual([main?.['primary'], main?.['reachable'], nas?.['backups']], [true, false, 1]);
    assert.equal(((found['sources'] as Json[])[0]?.['last_good'] as Json | undefined)?.['source'], 'docs');
    rmSync(box.at('nas'), { recursive: true });
    assert.equal((await run('status')).code, 6);
  });

  it(
    'waits no longer for a copy that hangs than it was told, and ends then',
    { timeout: 60_000 },
    async () => {
      await using hangs = await silentServer();
      await using use = await service(
        `repositories:
  main: { url: ./main }
  far: { url: s3://bucket/x, with_backup: false, s3: { endpoint: "http://127.0.0.1:${hangs.port}", access_key_id: a, secret_access_key: bbbbbbbb, timeout: 10m } }
${source.replace(', max_age: 26h', '')}`,
      );
      await use.run('backup');
      // The real program: what hangs would keep it from ending.
      const ran = await use.box.run(['status', '--timeout', '1s', '--json'], { env });
      assert.equal(ran.code, 3, ran.stderr);
      const far = (ran.json()['places'] as Json[]).find(({ name }) => name === 'far');
      assert.deepEqual(
        [far?.['reachable'], (far?.['error'] as Json | undefined)?.['code']],
        [false, 'HF-6403'],
      );
    },
  );
});
