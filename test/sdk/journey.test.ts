import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { ProgressEvent } from '../../src/sdk/events.ts';
import {
  createBackup,
  initRepository,
  isHoldfastError,
  listBackups,
  openRepository,
  restoreBackup,
  verifyBackup,
} from '../../src/sdk/index.ts';
import { rejection, rows, shop, type Shop } from './shop.ts';

describe('a program that uses the SDK', () => {
  let the: Shop;
  before(async () => {
    the = await shop();
  });
  after(async () => {
    await the[Symbol.asyncDispose]();
  });

  it('backs up, lists, verifies and restores', async () => {
    const { options, source, server } = the;
    const result = await createBackup({ ...options, source, tags: { release: '7' } });
    assert.equal(result.ok, true);
    const [backup] = result.backups;
    assert.ok(backup !== undefined && result.backups.length === 1);
    assert.equal(backup.source, 'shop');
    assert.equal(backup.kind, 'postgres');
    assert.ok(backup.bytes_read > rows * 32 && backup.bytes_added > 0);
    assert.deepEqual(backup.tags, { release: '7' });

    const { backups } = await listBackups({ ...options, tags: { release: '7' } });
    assert.deepEqual(backups, [{ ...backup, recoverable: null, pinned: null }]);
    assert.deepEqual((await listBackups({ ...options, tags: { release: '8' } })).backups, []);

    const verified = await verifyBackup({ ...options, id: backup.id, readData: true });
    assert.deepEqual([verified.ok, verified.level, verified.backups_checked], [true, 'read-data', 1]);

    const to = server.url('copy');
    const planned = await restoreBackup({ ...options, id: 'latest', to, dryRun: true });
    assert.equal(planned.restored, null);
    const { restored } = await restoreBackup({ ...options, id: backup.id, to });
    assert.ok(restored !== null && 'tables' in restored);
    assert.deepEqual([restored.tables, restored.rows, restored.checked], [1, rows, 1]);
    const sum = 'SELECT sum(hashtext(o::text)) FROM orders o';
    assert.equal(await server.psql(sum, 'copy'), await server.psql(sum, 'shop'));
  });

  it('reads one table out of a backup, streamed, also of one that another machine makes meanwhile', async () => {
    const { options, source, server } = the;
    await using repository = await openRepository(options);
    assert.equal(repository.encrypted, true);
    const read = async (id: string, path: string): Promise<string> =>
      Buffer.concat(await Array.fromAsync(repository.read(id, path))).toString();

    const { backups: before } = await repository.backup({ source });
    const table = (await Array.fromAsync(repository.entries(before[0]?.id ?? ''))).find(
      ({ kind }) => kind === 'pg.table',
    );
    assert.ok(table !== undefined);
    assert.match(await read('latest', table.path), /^1\tc4ca4238a0b923820dcc509a6f75849b\n2\t/);

    await server.psql("INSERT INTO orders VALUES (0, 'the newest')", 'shop');
    await createBackup({
      ...options,
      source,
      settings: { cache_directory: the.at('cache of another machine') },
    });
    assert.match(await read('latest', table.path), /\n0\tthe newest\n/);
    assert.doesNotMatch(await read(before[0]?.id ?? '', table.path), /the newest/);
    await server.psql('DELETE FROM orders WHERE id = 0', 'shop');

    const details = await repository.info('latest:shop');
    assert.equal(details.source, 'shop');
    assert.ok(details.sequence > 1 && Object.keys(details.metadata).length > 0);
    const missing = await rejection(read('latest', 'no/such/table'));
    assert.ok(isHoldfastError(missing, 'restore_selects_nothing'), String(missing));
    assert.equal((await repository.verify()).ok, true);
    const listed = await repository.list();
    assert.equal(listed.backups.at(-1)?.id, details.id);
  });

  it('refuses to use a repository after it is closed, and frees it only once', async () => {
    const { options } = the;
    const repository = await openRepository(options);
    const reading = repository.entries('latest');
    await reading.next();
    await repository.close();
    await repository.close();
    for (const error of [
      await rejection(reading.next()),
      await rejection(repository.list()),
      await rejection(repository.info('latest')),
    ]) {
      assert.ok(isHoldfastError(error, 'usage'), String(error));
      assert.match(error.message, /closed/);
    }
  });

  it('stops reading when the signal of the reading says so, and only that', async () => {
    const { options } = the;
    await using repository = await openRepository(options);
    const controller = new AbortController();
    const reading = repository.entries('latest', { signal: controller.signal });
    controller.abort('enough');
    const error = await rejection(reading.next());
    assert.ok(isHoldfastError(error, 'interrupted'), String(error));
    assert.equal(error.cause, 'enough');
    assert.ok((await Array.fromAsync(repository.entries('latest'))).length > 0);
  });

  it('is told of phases, bytes and the finished backup, as --json tells it', async () => {
    const { options, source } = the;
    const events: ProgressEvent[] = [];
    const { backups } = await createBackup({ ...options, source, onProgress: (event) => events.push(event) });
    const of = (type: string): ProgressEvent[] => events.filter((event) => event.type === type);
    assert.ok(of('phase').length >= 2);
    const last = of('progress').at(-1);
    assert.ok(last?.type === 'progress');
    assert.deepEqual([last.task, last.bytes_done], ['shop', backups[0]?.bytes_read]);
    assert.ok(last.bytes_per_second > 0);
    assert.deepEqual(of('backup'), [{ type: 'backup', backup: backups[0] }]);
  });

  it('gets log entries as objects, without secrets', async () => {
    const { options, source } = the;
    const entries: unknown[] = [];
    await createBackup({ ...options, source, logLevel: 'debug', onLog: (entry) => entries.push(entry) });
    const done = entries.find((entry) => (entry as { message: string }).message === 'backup done');
    assert.equal((done as { fields: Record<string, unknown> }).fields['source'], 'shop');
    assert.ok(!JSON.stringify(entries).includes(options.passphrase));
  });

  it('finds its configuration where the command line finds it', async () => {
    const { source, options } = the;
    const url = source.type === 'postgres' ? source.url : '';
    const { PATH, HOME } = options.env ?? {};
    const env = {
      PATH,
      HOME,
      DATABASE_URL: url,
      HOLDFAST_REPOSITORY: options.repository,
      HOLDFAST_PASSPHRASE: options.passphrase,
    };
    assert.equal((await initRepository({ env, cwd: the.directory })).created, false);
    assert.equal((await createBackup({ env, cwd: the.directory })).backups[0]?.source, 'shop');
    const other = await rejection(listBackups({ env, cwd: the.directory, passphrase: 'in code, and wrong' }));
    assert.ok(isHoldfastError(other, 'key_wrong'), String(other));
  });
});
