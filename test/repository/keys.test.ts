import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../../src/kernel/clock.ts';
import type { KeyId } from '../../src/kernel/ids.ts';
import { Secret } from '../../src/kernel/secret.ts';
import { createRepository } from '../../src/repository/create.ts';
import { MemoryStorage } from '../../src/storage/memory/memory-storage.ts';
import { crashAtMutation } from '../../src/storage/wrap/fault-plan.ts';
import { withFaults } from '../../src/storage/wrap/faults.ts';
import {
  backUp,
  bytesSource,
  makeRepository,
  openTestRepository,
  passphrase,
  readBack,
} from '../../testing/repository.ts';

const contents = { secret: Buffer.from('the combination is 12345') };
const second = new Secret('another long passphrase');

async function withBackup(): Promise<MemoryStorage> {
  const storage = new MemoryStorage(systemClock);
  await using repository = await makeRepository(storage);
  await backUp(repository, bytesSource(contents));
  return storage;
}

test('every passphrase added opens the same backups, until it is removed', async () => {
  const storage = await withBackup();
  {
    await using repository = await openTestRepository(storage);
    const added = await repository.keys.add({ passphrase: second, label: 'second' });
    await using other = await openTestRepository(storage, { passphrase: second });
    assert.deepEqual(await readBack(other, await other.find('latest')), contents);
    assert.deepEqual(
      (await other.keys.list()).map(({ label, current }) => `${label} ${current}`).toSorted(),
      ['first false', 'second true'],
    );
    await repository.keys.remove(added.id);
  }
  await assert.rejects(openTestRepository(storage, { passphrase: second }), { errorName: 'key_wrong' });
});

test('a changed passphrase replaces the old one', async () => {
  const storage = await withBackup();
  {
    await using repository = await openTestRepository(storage);
    await repository.keys.change({ passphrase: second, label: 'changed' });
  }
  await assert.rejects(openTestRepository(storage), { errorName: 'key_wrong' });
  await using repository = await openTestRepository(storage, { passphrase: second });
  assert.deepEqual(await readBack(repository, await repository.find('latest')), contents);
});

test('a crash while a passphrase is changed leaves one that opens', async () => {
  for (const mutation of [1, 2]) {
    for (const applied of [false, true]) {
      const storage = await withBackup();
      await using repository = await openTestRepository(
        withFaults(storage, crashAtMutation(mutation, applied)),
      );
      await assert.rejects(repository.keys.change({ passphrase: second, label: 'changed' }));
      const opened = await Promise.allSettled([
        openTestRepository(storage),
        openTestRepository(storage, { passphrase: second }),
      ]);
      assert.ok(opened.some(({ status }) => status === 'fulfilled'));
    }
  }
});

test('both passphrases open while one takes the place of the other, and stay when that fails', async () => {
  const storage = await withBackup();
  await using repository = await openTestRepository(storage);
  const bothOpen = async (): Promise<void> => {
    await (await openTestRepository(storage))[Symbol.asyncDispose]();
    await (await openTestRepository(storage, { passphrase: second }))[Symbol.asyncDispose]();
  };
  const changing = repository.keys.change({ passphrase: second, label: 'changed' }, async () => {
    await bothOpen();
    throw new Error('no room for the key file');
  });
  await assert.rejects(changing, /no room/);
  await bothOpen();
});

test('the last key stays, and only known keys are removed', async () => {
  await using repository = await openTestRepository(await withBackup());
  const [key] = await repository.keys.list();
  await assert.rejects(repository.keys.remove(key?.id ?? ('' as KeyId)), { errorName: 'key_last' });
  await assert.rejects(repository.keys.remove('ffffffffffffffff' as KeyId), { errorName: 'key_unknown' });
  await assert.rejects(repository.keys.remove('' as KeyId), { errorName: 'key_unknown' });
});

test('no passphrase, a wrong one and one that is too short are told apart', async () => {
  const storage = await withBackup();
  await assert.rejects(openTestRepository(storage, { passphrase: null }), {
    errorName: 'key_needed',
    exitCode: 10,
  });
  const wrong = new Secret('not the passphrase');
  await assert.rejects(openTestRepository(storage, { passphrase: wrong }), {
    errorName: 'key_wrong',
    exitCode: 10,
  });
  await using repository = await openTestRepository(storage);
  for (const [weak, told] of [
    ['', /is empty/],
    ['x', /has 1 character$/],
    ['short', /has 5 characters$/],
  ] as const) {
    const key = { passphrase: new Secret(weak), label: 'weak' };
    await assert.rejects(repository.keys.add(key), { errorName: 'key_weak', message: told });
  }
});

test('the same characters in another Unicode form open the repository', async () => {
  const storage = new MemoryStorage(systemClock);
  const key = { passphrase: new Secret('pa\u0301ssword long'), label: 'composed' };
  await createRepository(storage, { key, clock: systemClock, host: 'h', user: 'u' });
  await using repository = await openTestRepository(storage, {
    passphrase: new Secret('p\u00e1ssword long'),
  });
  assert.ok(repository.info.encrypted);
});

test('a damaged key is named, and another passphrase still opens', async () => {
  const storage = await withBackup();
  const names: string[] = [];
  for await (const { name } of storage.list('keys/')) names.push(name);
  const [name = ''] = names;
  {
    await using repository = await openTestRepository(storage);
    await repository.keys.add({ passphrase: second, label: 'second' });
  }
  const bytes = await storage.get(name);
  bytes[100] = (bytes[100] ?? 0) ^ 1;
  await storage.delete(name);
  await storage.put(name, bytes);
  await assert.rejects(openTestRepository(storage), { errorName: 'key_damaged' });
  await using repository = await openTestRepository(storage, { passphrase: second });
  assert.deepEqual(await readBack(repository, await repository.find('latest')), contents);
});

test('a repository that is not encrypted takes no keys and needs none', async () => {
  const storage = new MemoryStorage(systemClock);
  await using repository = await makeRepository(storage, { encrypted: false, passphrase: null });
  assert.deepEqual(await repository.keys.list(), []);
  const adding = repository.keys.add({ passphrase, label: 'none' });
  await assert.rejects(adding, { errorName: 'key_unencrypted' });
});

test('nothing of the contents or the passphrase is readable in an encrypted repository', async () => {
  const storage = await withBackup();
  for await (const { name } of storage.list('')) {
    const text = Buffer.from(await storage.get(name)).toString('latin1');
    for (const secret of ['combination', passphrase.reveal(), 'test.bytes']) {
      assert.ok(!text.includes(secret), `${name} shows ${secret}`);
    }
  }
});

test('a second repository is refused, and so is a place with foreign files', async () => {
  const options = { key: { passphrase, label: 'x' }, clock: systemClock, host: 'h', user: 'u' };
  await assert.rejects(createRepository(await withBackup(), options), { errorName: 'repository_exists' });
  const foreign = new MemoryStorage(systemClock);
  await foreign.put('readme.txt', Buffer.from('mine'));
  await assert.rejects(createRepository(foreign, options), { errorName: 'repository_foreign' });
  await assert.rejects(openTestRepository(foreign), { errorName: 'repository_missing' });
});

test('of two that create at once, one wins and the other leaves no key', async () => {
  const storage = new MemoryStorage(systemClock);
  const create = (secret: Secret): Promise<unknown> =>
    createRepository(storage, {
      key: { passphrase: secret, label: 'k' },
      clock: systemClock,
      host: 'h',
      user: 'u',
    });
  const results = await Promise.allSettled([create(passphrase), create(second)]);
  assert.deepEqual(results.map(({ status }) => status).toSorted(), ['fulfilled', 'rejected']);
  const winner = results[0]?.status === 'fulfilled' ? passphrase : second;
  await using repository = await openTestRepository(storage, { passphrase: winner });
  assert.equal((await repository.keys.list()).length, 1);
});

test('of two passphrases that remove each other at once, one stays', async () => {
  const storage = await withBackup();
  await using first = await openTestRepository(storage);
  const { id } = await first.keys.add({ passphrase: second, label: 'second' });
  await using other = await openTestRepository(storage, { passphrase: second });
  const own = (await first.keys.list()).find(({ current }) => current)?.id ?? ('' as KeyId);
  const outcomes = await Promise.allSettled([first.keys.remove(id), other.keys.remove(own)]);
  assert.ok(outcomes.some(({ status }) => status === 'rejected'));
  assert.ok((await first.keys.list()).length > 0);
  const passphrases = [passphrase, second].map((each) => openTestRepository(storage, { passphrase: each }));
  const opened = (await Promise.allSettled(passphrases)).filter(({ status }) => status === 'fulfilled');
  assert.ok(opened.length > 0);
  for (const each of opened) if (each.status === 'fulfilled') await each.value[Symbol.asyncDispose]();
});
