import assert from 'node:assert/strict';
import { mkdir, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { after, before, describe, it } from 'node:test';
import { lsnOf } from '../../src/postgres/lsn.ts';
import { segmentName } from '../../src/postgres/wal/names.ts';
import { modelStart, RecoveryModel, segmentBytes } from '../../testing/recovery-model.ts';
import { until } from '../../testing/until.ts';
import { sandbox, type Ran, type Sandbox } from '../cli/program-runner.ts';

const segments = 12;
const nameOf = (index: number): string =>
  segmentName(1, lsnOf(modelStart + BigInt(index * segmentBytes)), segmentBytes);

describe('wal get, ahead of what is asked for', () => {
  let box: Sandbox;
  let bytes: Buffer;
  const content = (index: number): Buffer => bytes.subarray(index * segmentBytes, (index + 1) * segmentBytes);
  const shelf = (...names: string[]): string => box.at('cache', 'holdfast', 'wal-ahead', ...names);
  const onShelf = async (): Promise<string[]> =>
    (await readdir(shelf(), { recursive: true, encoding: 'utf8' }).catch((): string[] => [])).toSorted();
  const fetched = async (): Promise<string[]> =>
    (await onShelf()).map((path) => path.slice(33)).filter((name) => name.length === 24);

  const untilSettled = (): Promise<void> =>
    until(async () => !(await onShelf()).some((path) => path.endsWith('fetching')), 'the fetcher to end');

  const settings = (prefetch: string): Promise<void> =>
    writeFile(
      box.at('holdfast.yaml'),
      `repository: ${box.at('r')}\nencryption: { enabled: false }\nsources: { main: { type: postgres-cluster, wal_prefetch: ${prefetch} } }\n`,
    );
  const run = (...args: string[]): Promise<Ran> =>
    box.run([...args, '--json'], { env: { XDG_CACHE_HOME: box.at('cache') } });
  const get = (name: string): Promise<Ran> => run('wal', 'get', name, box.at('pg_wal', 'RECOVERYXLOG'));

  before(async () => {
    box = await sandbox();
    const model = new RecoveryModel();
    const [timeline = assert.fail()] = model.timelines;
    for (let index = 0; index < segments; index += 1)
      timeline.own.push({ do: 'commit', xid: 700, atUs: 1_760_000_000_000_000 }, { do: 'switch' });
    const written = model.write(timeline).bytes;
    bytes = Buffer.alloc(segments * segmentBytes);
    written.copy(bytes);
    for (const name of ['server', 'pg_wal', 'cache']) await mkdir(box.at(name));
    await settings('4 MiB');
    assert.equal((await run('init')).code, 0);
    for (let index = 0; index < segments; index += 1) {
      await writeFile(box.at('server', nameOf(index)), content(index));
      assert.equal((await run('wal', 'push', box.at('server', nameOf(index)))).code, 0);
    }
  });
  after(() => box[Symbol.asyncDispose]());

  it('gives what was fetched, byte for byte, and leaves nothing else in pg_wal', async () => {
    assert.equal((await get(nameOf(0))).json()['fetched_ahead'], false);
    await until(async () => (await fetched()).length === 4, 'four segments fetched ahead');
    assert.deepEqual(await fetched(), [1, 2, 3, 4].map(nameOf));
    for (const index of [1, 2]) {
      assert.equal((await get(nameOf(index))).json()['fetched_ahead'], true);
      assert.ok(content(index).equals(await readFile(box.at('pg_wal', 'RECOVERYXLOG'))));
      assert.deepEqual(await readdir(box.at('pg_wal')), ['RECOVERYXLOG']);
    }
    // Half is left, so the next four come.
    await until(async () => (await fetched()).includes(nameOf(6)), 'the next segments fetched ahead');
    // Whoever goes back gets the archive's.
    assert.equal((await get(nameOf(0))).json()['fetched_ahead'], false);
    assert.ok(content(0).equals(await readFile(box.at('pg_wal', 'RECOVERYXLOG'))));
  });

  it('keeps nothing once the server is promoted, or has come to the end', async () => {
    for (const end of ['00000002.history', nameOf(segments)]) {
      await get(nameOf(0));
      await until(async () => (await fetched()).length >= 4, 'segments fetched ahead');
      await untilSettled();
      assert.equal((await get(end)).code, 1);
      assert.deepEqual(await onShelf(), []);
    }
  });

  it('drops what another recovery left more than an hour ago', async () => {
    for (const name of ['a'.repeat(32), 'b'.repeat(32)]) {
      await mkdir(shelf(name), { recursive: true });
      await writeFile(shelf(name, nameOf(3)), 'left');
    }
    const longAgo = new Date(Date.now() - 2 * 3_600_000);
    await utimes(shelf('a'.repeat(32)), longAgo, longAgo);
    await get(nameOf(0));
    await until(async () => (await fetched()).length >= 5, 'segments fetched ahead');
    assert.deepEqual(
      (await readdir(shelf())).filter((name) => /^[ab]+$/.test(name)),
      ['b'.repeat(32)],
    );
    await untilSettled();
    await rm(shelf(), { recursive: true });
  });

  it('fetches nothing ahead where that is switched off', async () => {
    await settings('0');
    assert.equal((await get(nameOf(0))).code, 0);
    assert.equal((await get(nameOf(1))).json()['fetched_ahead'], false);
    assert.deepEqual(await onShelf(), []);
  });
});
