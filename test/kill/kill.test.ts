import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { startPostgres, withoutPostgres } from '../../testing/postgres-server.ts';
import { sandbox, type Json } from '../cli/program-runner.ts';

/** How many times the program is killed; HOLDFAST_KILLS=100 for the full trial. */
const kills = Number(process.env['HOLDFAST_KILLS'] ?? 4);
const seed = Number(process.env['HOLDFAST_SEED'] ?? Date.now() % 1_000_000);

function randomFrom(start: number): () => number {
  let state = start >>> 0;
  return () => {
    // mulberry32
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

const contents = 'SELECT count(*), sum(hashtextextended(i::text, 0)) FROM items i';
const createData = `
  CREATE TABLE items AS
    SELECT i AS id, md5(i::text) || md5((i * 7)::text) AS body, repeat(md5((i * 13)::text), 8) AS filler
    FROM generate_series(1, 150000) i;
  CREATE TABLE ledger AS SELECT i AS id, 0 AS amount FROM generate_series(1, 1000) i;`;

test(
  `killed ${kills} times at random moments, it loses no finished backup and shows no other (seed ${seed})`,
  { skip: withoutPostgres('system'), timeout: 1_200_000 },
  async () => {
    await using server = await startPostgres({ major: 'system' });
    await using box = await sandbox();
    const random = randomFrom(seed);
    await server.psql('CREATE DATABASE shop');
    await server.psql(createData, 'shop');
    const env = { HOLDFAST_PASSPHRASE: 'correct horse battery', DATABASE_URL: server.url('shop') };
    const holdfast = async (...args: string[]): Promise<Json> => {
      const ran = await box.run([...args, '--repo', box.at('repo'), '--json'], { env });
      assert.equal(ran.code, 0, `${args.join(' ')}: ${ran.stdout}${ran.stderr}`);
      return ran.lines().at(-1) ?? {};
    };
    await holdfast('init');
    const startedAt = performance.now();
    const finished = [await backUp()];
    const fullMs = performance.now() - startedAt;

    for (let kill = 0; kill < kills; kill += 1) {
      // A fifth of the rows anew, so that every backup has much to store.
      await server.psql(`UPDATE items SET body = md5(random()::text) WHERE id % 5 = ${kill % 5}`, 'shop');
      const running = box.start(['backup', '--repo', box.at('repo'), '--json'], { env });
      await delay(random() * fullMs * 1.1);
      running.kill('SIGKILL');
      const { code, stdout } = await running.done;
      if (code === 0) finished.push(idIn(stdout));
      const visible = await listed(holdfast);
      for (const id of finished) assert.ok(visible.includes(id), `finished backup ${id} is not there`);
      // A backup killed between its manifest and its summary is whole, and there.
      assert.ok(
        visible.length - finished.length <= 1,
        `${visible.length} backups, ${finished.length} finished`,
      );
      finished.splice(0, finished.length, ...visible);
      assert.equal((await holdfast('verify'))['ok'], true);
    }

    finished.push(await backUp());
    assert.equal((await holdfast('verify', '--read-data'))['ok'], true);
    for (const [index, id] of (await listed(holdfast)).entries()) {
      // The restore compares every table with the fingerprint taken in the backup's own snapshot.
      await holdfast('restore', id, '--to', server.url(`restored_${index}`));
      await server.psql(`DROP DATABASE restored_${index}`);
    }
    await holdfast('restore', 'latest', '--to', server.url('final'));
    assert.equal(await server.psql(contents, 'final'), await server.psql(contents, 'shop'));

    async function backUp(): Promise<string> {
      const ran = await box.run(['backup', '--repo', box.at('repo'), '--json'], { env });
      assert.equal(ran.code, 0, ran.stderr);
      return idIn(ran.stdout);
    }
  },
);

function idIn(stdout: string): string {
  const summary = JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '{}') as { backups: { id: string }[] };
  return summary.backups[0]?.id ?? '';
}

async function listed(holdfast: (...args: string[]) => Promise<Json>): Promise<string[]> {
  return ((await holdfast('list'))['backups'] as Json[]).map((backup) => String(backup['id']));
}
