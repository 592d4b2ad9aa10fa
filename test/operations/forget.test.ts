import assert from 'node:assert/strict';
import { describe, it, test } from 'node:test';
import { failure, isFailure } from '../../src/kernel/errors/failure.ts';
import { forgottenRecords } from '../../src/repository/history/forgotten.ts';
import { pinnedIds, putPin, readPin, removePin } from '../../src/repository/history/pins.ts';
import { trashed } from '../../src/repository/history/trash.ts';
import type { Repository } from '../../src/repository/repository.ts';
import type { Storage } from '../../src/storage/port.ts';
import { crashAtMutation } from '../../src/storage/wrap/fault-plan.ts';
import { withFaults } from '../../src/storage/wrap/faults.ts';
import { patternedBytes } from '../../testing/bytes.ts';
import { backUp, bytesSource, openTestRepository, readBack } from '../../testing/repository.ts';
import { context, copyOf, forgetAt, objects, problems, storageWith, undo } from './forget-support.ts';

const idsOf = async (repository: Repository): Promise<string[]> =>
  (await repository.names()).map(({ id }) => id);

describe('forgetting', () => {
  it('moves the manifest into the trash as it is, and tells in a record what and why', async () => {
    const storage = await storageWith(3);
    await using repository = await openTestRepository(storage);
    const before = await objects(storage, 'snapshots/');
    const [first, second, third] = await idsOf(repository);
    const { record } = await forgetAt(repository, [0, 1], { reason: 'clean: last 1' });
    assert.deepEqual(await idsOf(repository), [third]);
    const trash = await objects(storage, 'trash/');
    for (const [name, bytes] of [...before].slice(0, 2))
      assert.deepEqual(trash.get(name.replace('snapshots/', 'trash/')), bytes);
    assert.match(record ?? '', /^forgotten\/\d{8}t\d{9}z-[0-9a-f]{16}$/);
    const [read] = await Array.fromAsync(forgottenRecords(repository));
    assert.ok(read !== undefined && 'record' in read && read.name === record);
    assert.deepEqual(
      [read.record.reason, read.record.user, read.record.host, read.record.backups.map(({ id }) => id)],
      ['clean: last 1', 'tester', 'testhost', [first, second]],
    );
    assert.deepEqual(read.record.backups[0]?.why, ['not among the last 1']);
    assert.deepEqual(await problems(repository), []);
  });

  it('leaves what the storage keeps locked as it was, and forgets the others', async () => {
    const storage = await storageWith(3);
    const [locked = ''] = [...(await objects(storage, 'snapshots/')).keys()];
    const holding = withFaults(storage, ({ operation, name }) =>
      operation === 'delete' && name === locked
        ? {
            kind: 'fail_before',
            error: failure('storage_locked', { name, location: 'x', reason: 'until 2027' }),
          }
        : undefined,
    );
    await using repository = await openTestRepository(holding);
    const [first, second, third] = await idsOf(repository);
    const done = await forgetAt(repository, [0, 1]);
    assert.deepEqual(
      [done.locked.map(({ id }) => id), done.backups.map(({ id }) => id)],
      [[first], [second]],
    );
    assert.deepEqual(await idsOf(repository), [first, third]);
    const records = await Array.fromAsync(forgottenRecords(repository));
    const named = records.flatMap((read) =>
      'record' in read ? read.record.backups.map(({ id }) => id) : [],
    );
    assert.deepEqual(named, [second], 'if the locked one should vanish, that shows');
    assert.equal((await objects(storage, 'trash/')).size, 1);
    assert.deepEqual(await problems(repository), []);
  });

  it('is undone to the very same backup, which counts as forgotten no more', async () => {
    const storage = await storageWith(3);
    await using repository = await openTestRepository(storage);
    const before = await objects(storage, '');
    const [first = '', second = ''] = await idsOf(repository);
    await forgetAt(repository, [0, 1]);
    await undo(repository, second);
    assert.equal((await idsOf(repository)).length, 2);
    // The record tells of the other one alone.
    const records = await Array.fromAsync(forgottenRecords(repository));
    assert.deepEqual(
      records.map((read) => ('record' in read ? read.record.backups.map(({ id }) => id) : [])),
      [[first]],
    );
    await undo(repository, first);
    assert.deepEqual(await objects(storage, ''), before);
    for (const name of await repository.names())
      assert.deepEqual(
        (await readBack(repository, await repository.manifest(name)))['shared'],
        Buffer.from('the same in all'),
      );
    assert.deepEqual(await problems(repository), []);
    await storage.delete((await repository.names())[1]?.objectName ?? '');
    assert.deepEqual(await problems(repository), ['HF-3015']);
  });

  it('looks before it undoes, and changes nothing in a dry run', async () => {
    const storage = await storageWith(2);
    await using repository = await openTestRepository(storage);
    const [first = ''] = await idsOf(repository);
    await forgetAt(repository, [0]);
    const before = await objects(storage, '');
    await undo(repository, first, true);
    assert.deepEqual(await objects(storage, ''), before);
  });

  it('is not undone when any pack is gone that it needs, whether others need it or not', async () => {
    const start = await storageWith(3);
    const ids = await openTestRepository(start).then(idsOf);
    await forgetAt(await openTestRepository(start), [1]);
    let own = 0;
    let shared = 0;
    for (const pack of (await objects(start, 'packs/')).keys()) {
      const storage = await copyOf(start);
      await storage.delete(pack);
      await using repository = await openTestRepository(storage);
      const before = await objects(storage, '');
      const isWhole = (await problems(repository)).length === 0;
      const error = await undo(repository, ids[1] ?? '').then(
        () => undefined,
        (thrown: unknown) => thrown,
      );
      if (error === undefined) continue;
      assert.ok(isFailure(error, 'forget_gone') && error.exitCode === 4);
      assert.deepEqual(await objects(storage, ''), before);
      if (isWhole) own += 1;
      else shared += 1;
    }
    assert.ok(own > 0 && shared > 0, `${own} ${shared}`);
  });

  it('is not undone when a pack is gone that holds nothing but data', async () => {
    const start = await storageWith(1);
    const others = await objects(start, 'packs/');
    const id = await openTestRepository(start).then(async (opened) => {
      await using repository = opened;
      const manifest = await backUp(repository, bytesSource({ own: patternedBytes(40_000_000, 3) }));
      await forgetAt(repository, [1]);
      return manifest.id;
    });
    const packs = [...(await objects(start, 'packs/')).keys()].filter((name) => !others.has(name));
    assert.ok(packs.length > 2, `${packs.length}`);
    for (const pack of packs) {
      const storage = await copyOf(start);
      await storage.delete(pack);
      await using repository = await openTestRepository(storage);
      await assert.rejects(
        () => undo(repository, id),
        (error) => isFailure(error, 'forget_gone'),
        pack,
      );
    }
  });

  it('keeps a damaged manifest as it is, and does not bring it back', async () => {
    const storage = await storageWith(2);
    await using repository = await openTestRepository(storage);
    const [name] = await repository.names();
    assert.ok(name !== undefined);
    const bytes = await storage.get(name.objectName);
    bytes[100] = (bytes[100] ?? 0) ^ 1;
    await storage.delete(name.objectName);
    await storage.put(name.objectName, bytes);
    await forgetAt(repository, [0], { source: null });
    assert.deepEqual([...(await objects(storage, 'trash/')).values()], [Buffer.from(bytes)]);
    await assert.rejects(
      () => undo(repository, name.id),
      (error) => isFailure(error, 'object_damaged'),
    );
    // The later backup knows the manifest as it was; that it was damaged when it was forgotten is in the record.
    assert.deepEqual(await problems(repository), []);
  });

  it('does not bring back another manifest than was forgotten', async () => {
    const storage = await storageWith(2);
    await using repository = await openTestRepository(storage);
    const [first = ''] = await idsOf(repository);
    await forgetAt(repository, [0]);
    await using other = await openTestRepository(await copyOf(storage));
    await undo(other, first);
    await forgetAt(other, [0]);
    const [record] = (await objects(other.storage, 'forgotten/')).keys();
    const [trashName = ''] = (await objects(storage, 'trash/')).keys();
    assert.ok(record !== undefined);
    const bytes = await storage.get(trashName);
    bytes[200] = (bytes[200] ?? 0) ^ 1;
    await storage.delete(trashName);
    await storage.put(trashName, bytes);
    await assert.rejects(
      () => undo(repository, first),
      (error) => isFailure(error, 'object_damaged'),
    );
  });

  it('stops when what was to stay has gone, or what was to go is pinned meanwhile', async () => {
    const storage = await storageWith(3);
    await using repository = await openTestRepository(storage);
    const [first = '', second = ''] = await idsOf(repository);
    await assert.rejects(
      () => forgetAt(repository, [0], { mustStay: [second, 'f'.repeat(32)] }),
      (error) => isFailure(error, 'forget_changed') && error.exitCode === 7,
    );
    const pin = { schema: 1, id: first, reason: 'x', host: 'h', user: 'u' } as const;
    await putPin(repository, { ...pin, pinned_at: '2026-11-21T00:00:00.000Z' });
    await assert.rejects(
      () => forgetAt(repository, [0]),
      (error) => isFailure(error, 'forget_pinned'),
    );
    assert.equal((await idsOf(repository)).length, 3);
    assert.deepEqual(await Array.fromAsync(forgottenRecords(repository)), []);
  });

  it('passes over what somebody else has forgotten meanwhile', async () => {
    const storage = await storageWith(3);
    await using repository = await openTestRepository(storage);
    const names = await repository.names();
    await forgetAt(repository, [0]);
    const going = names.slice(0, 2).map((name) => ({ name, source: 'bytes', why: [] }));
    const { forgetBackups } = await import('../../src/operations/forget.ts');
    const more = { clock: { now: () => 0 }, host: 'h', user: 'u', reason: 'r', mustStay: [] };
    const { backups } = await forgetBackups(repository, going, { ...context, ...more });
    assert.deepEqual(
      backups.map(({ id }) => id),
      [names[1]?.id],
    );
    assert.equal((await trashed(repository)).length, 2);
  });
});

/** Every backup is there, or forgotten and can be brought back; and what is there is whole. */
async function assertNoneIsLost(storage: Awaited<ReturnType<typeof storageWith>>, ids: readonly string[]) {
  await using repository = await openTestRepository(storage);
  const there = new Set(await idsOf(repository));
  for (const id of ids) if (!there.has(id)) await undo(repository, id);
  assert.deepEqual(new Set(await idsOf(repository)), new Set(ids));
  assert.deepEqual(await problems(repository), []);
}

test('a crash at any step of forgetting, or of its undoing, loses no backup', async () => {
  const start = await storageWith(3);
  const ids = await openTestRepository(start).then(idsOf);
  const forgotten = await copyOf(start);
  await forgetAt(await openTestRepository(forgotten), [0, 1]);
  const deeds = [
    ['forgetting', start, (repository: Repository) => forgetAt(repository, [0, 1])],
    ['undoing', forgotten, (repository: Repository) => undo(repository, ids[0] ?? '')],
  ] as const;
  for (const [what, from, deed] of deeds) {
    let isThrough = false;
    for (let mutation = 1; !isThrough; mutation += 1) {
      assert.ok(mutation < 20, what);
      for (const applied of [false, true]) {
        const storage = await copyOf(from);
        await using repository = await openTestRepository(
          withFaults(storage, crashAtMutation(mutation, applied)),
        );
        isThrough = await deed(repository).then(
          () => true,
          () => false,
        );
        await using after = await openTestRepository(await copyOf(storage));
        assert.deepEqual(await problems(after), [], `${what}, ${mutation}`);
        await assertNoneIsLost(await copyOf(storage), ids);
        // Once more, as a user would.
        await using again = await openTestRepository(storage);
        const left = await idsOf(again);
        if (what === 'forgetting' && left.length > 1) await forgetAt(again, left.length === 3 ? [0, 1] : [0]);
        if (what === 'undoing' && !left.includes(ids[0] ?? '')) await undo(again, ids[0] ?? '');
        assert.deepEqual(await problems(again), []);
      }
    }
  }
});

test('forgetting and undoing at the same time loses no backup', async () => {
  for (let mutation = 1; mutation < 8; mutation += 1) {
    const storage = await storageWith(2);
    await using repository = await openTestRepository(storage);
    const ids = await idsOf(repository);
    await forgetAt(repository, [0]);
    await undo(repository, ids[0] ?? '');
    // Just before one of its steps the trash is emptied, as the end of an undo does.
    let calls = 0;
    const emptyTrash = async (): Promise<void> => {
      calls += 1;
      if (calls !== mutation) return;
      for (const name of (await objects(storage, 'trash/')).keys()) await storage.delete(name);
    };
    const between = new Proxy<Storage>(storage, {
      get: (target, key) => {
        const value: unknown = Reflect.get(target, key, target);
        if (typeof value !== 'function') return value;
        const method = value.bind(target) as (...args: unknown[]) => unknown;
        if (key !== 'put' && key !== 'delete') return method;
        return async (...args: unknown[]) => {
          await emptyTrash();
          return await method(...args);
        };
      },
    });
    await using racing = await openTestRepository(between);
    await forgetAt(racing, [0]);
    await using after = await openTestRepository(storage);
    const there = await idsOf(after);
    const inTrash = (await trashed(after)).map(({ id }) => id as string);
    assert.ok(there.includes(ids[0] ?? '') || inTrash.includes(ids[0] ?? ''), `at ${mutation}`);
  }
});

describe('the history', () => {
  it('still shows what vanished without having been forgotten', async () => {
    const storage = await storageWith(4);
    await using repository = await openTestRepository(storage);
    await forgetAt(repository, [0]);
    const [, gone] = await repository.names();
    await storage.delete(gone?.objectName ?? '');
    assert.deepEqual(await problems(repository), ['HF-3015']);
  });

  it('does not believe a record that it cannot open', async () => {
    const storage = await storageWith(3);
    await using repository = await openTestRepository(storage);
    const { record } = await forgetAt(repository, [1]);
    const bytes = await storage.get(record ?? '');
    bytes[90] = (bytes[90] ?? 0) ^ 4;
    await storage.delete(record ?? '');
    await storage.put(record ?? '', bytes);
    assert.deepEqual((await problems(repository)).toSorted(), ['HF-3006', 'HF-3015']);
  });

  it('goes on behind backups that are forgotten', async () => {
    const storage = await storageWith(3);
    await using repository = await openTestRepository(storage);
    await forgetAt(repository, [2]);
    await backUp(repository, bytesSource({ own: Buffer.from('new') }));
    await forgetAt(repository, [0, 1]);
    assert.deepEqual(await problems(repository), []);
  });
});

test('a pin holds until it is taken away, keeps its first reason, and counts even when it is damaged', async () => {
  const storage = await storageWith(1);
  await using repository = await openTestRepository(storage);
  const [id = ''] = await idsOf(repository);
  const pin = {
    schema: 1,
    id,
    reason: 'first',
    pinned_at: '2026-11-21T00:00:00.000Z',
    host: 'h',
    user: 'u',
  } as const;
  assert.equal(await putPin(repository, pin), pin);
  assert.equal((await putPin(repository, { ...pin, reason: 'second' })).reason, 'first');
  await storage.delete(`pins/${id}`);
  await storage.put(`pins/${id}`, Buffer.from('nonsense'));
  assert.deepEqual([...(await pinnedIds(repository))], [id]);
  assert.equal((await readPin(repository, id))?.reason, '');
  await removePin(repository, id);
  assert.equal(await readPin(repository, id), undefined);
});
