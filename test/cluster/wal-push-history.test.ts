import assert from 'node:assert/strict';
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { lsnOf } from '../../src/postgres/lsn.ts';
import { segmentName } from '../../src/postgres/wal/names.ts';
import { modelStart, RecoveryModel, segmentBytes, type ModelTimeline } from '../../testing/recovery-model.ts';
import { sandbox, type Ran, type Sandbox } from '../cli/program-runner.ts';

/** What a server that began to archive after its promotion hands over: its segments, and never its history. */
describe('wal push of a timeline whose history was never handed over', () => {
  let box: Sandbox;
  const model = new RecoveryModel();
  const on = (timeline: number): ModelTimeline => model.timelines[timeline - 1] ?? assert.fail();

  before(async () => {
    box = await sandbox();
    const [first = assert.fail()] = model.timelines;
    fillSegments(first, 2);
    fillSegments(model.branch(first, 2), 2);
    fillSegments(model.branch(on(2), 4), 4);
  });
  after(() => box[Symbol.asyncDispose]());

  /** A new repository, and a `pg_wal` with the second and third segment of a timeline and these histories. */
  async function begin(timeline: number, histories: Readonly<Record<string, string>>): Promise<string[]> {
    for (const name of ['r', 'pg_wal', 'home', 'state'])
      await rm(box.at(name), { recursive: true, force: true });
    await mkdir(box.at('pg_wal', 'archive_status'), { recursive: true });
    await writeFile(
      box.at('holdfast.yaml'),
      `repository: ${box.at('r')}\nencryption: { enabled: false }\nsources: { main: { type: postgres-cluster } }\n`,
    );
    assert.equal((await box.run(['init'])).code, 0);
    for (const [name, text] of Object.entries(histories)) await writeFile(box.at('pg_wal', name), text);
    const { bytes } = model.write(on(timeline));
    const names: string[] = [];
    for (const index of [2, 3]) {
      const start = lsnOf(modelStart + BigInt(index * segmentBytes));
      const name = segmentName(timeline, start, segmentBytes);
      const at = index * segmentBytes;
      const segment = Buffer.alloc(segmentBytes);
      bytes.copy(segment, 0, at, at + segmentBytes);
      await writeFile(box.at('pg_wal', name), segment);
      names.push(name);
    }
    return names;
  }

  const push = (name: string): Promise<Ran> => box.run(['wal', 'push', box.at('pg_wal', name), '--json']);
  const isStored = async (name: string): Promise<boolean> =>
    (await box.run(['wal', 'get', name, box.at('got')])).code === 0;
  const history = (timeline: number): string => model.history(on(timeline));

  it('stores the history that lies beside, and those it names', async () => {
    const files = { '00000002.history': history(2), '00000003.history': history(3) };
    const [name = '', next = ''] = await begin(3, files);
    const ran = await push(name);
    assert.equal(ran.code, 0, ran.stderr);
    assert.deepEqual(ran.json()['ahead'], ['00000002.history', '00000003.history']);
    assert.ok(await isStored('00000003.history'));
    assert.ok(await isStored('00000002.history'));
    // Known by now: an object that is gone is not asked for once more.
    const kept = join(box.at('r'), 'wal');
    const objects = (await readdir(kept, { recursive: true })).filter((path) => path.endsWith('.history'));
    assert.equal(objects.length, 2);
    for (const path of objects) await rm(join(kept, path));
    const again = await push(next);
    assert.deepEqual([again.code, again.json()['ahead']], [0, []]);
    assert.equal(await isStored('00000003.history'), false);
  });

  it('does so for a last, partial segment, and for a file that waits behind another', async () => {
    const [name = ''] = await begin(2, { '00000002.history': history(2) });
    await writeFile(box.at('pg_wal', 'archive_status', `${name}.ready`), '');
    const { bytes } = model.write(on(1));
    const first = segmentName(1, modelStart, segmentBytes);
    const segment = Buffer.alloc(segmentBytes);
    bytes.copy(segment, 0, 0, segmentBytes);
    await writeFile(box.at('pg_wal', first), segment);
    const ran = await push(first);
    assert.deepEqual(ran.json()['ahead'], ['00000002.history', name], ran.stderr);

    const [other = ''] = await begin(2, { '00000002.history': history(2) });
    await writeFile(box.at('pg_wal', `${other}.partial`), segment);
    assert.deepEqual((await push(`${other}.partial`)).json()['ahead'], ['00000002.history']);
  });

  it('stores the segment all the same when there is no history, or one that is none', async () => {
    const [name = ''] = await begin(2, {});
    assert.deepEqual((await push(name)).json()['state'], 'stored');
    const [same = ''] = await begin(2, { '00000002.history': 'lost and found\n' });
    const ran = await push(same);
    assert.deepEqual([ran.code, ran.json()['state'], ran.json()['ahead']], [0, 'stored', []]);
    assert.match(ran.stderr, /history of a timeline is not stored[^]*line 1/);
  });

  it('refuses WAL of a timeline that two servers have made', async () => {
    const [name = ''] = await begin(2, { '00000002.history': history(2) });
    assert.equal((await push(name)).code, 0);
    await writeFile(box.at('pg_wal', '00000002.history'), '1\t0/1000100\tno recovery target specified\n');
    const [, next = ''] = (await readdir(box.at('pg_wal'))).filter((file) => file.length === 24);
    const ran = await push(next);
    assert.deepEqual([ran.code, ran.stderr.includes('HF-5402')], [7, true], ran.stderr);
  });

  it('says so when there is no file of that path', async () => {
    await begin(2, {});
    for (const name of ['000000020000000000000077', '00000007.history', 'no/00000002.history']) {
      const ran = await box.run(['wal', 'push', box.at('pg_wal', name)]);
      assert.equal(ran.code, 6, ran.stderr);
      assert.match(ran.stderr, /^error\[HF-5439\]: there is no file \/\S+\n/);
    }
  });
});

function fillSegments(timeline: ModelTimeline, count: number): void {
  for (let index = 0; index < count; index += 1)
    timeline.own.push({ do: 'commit', xid: 700, atUs: 1_760_000_000_000_000 }, { do: 'switch' });
}
