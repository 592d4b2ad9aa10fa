import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { goldenContents, goldenVariants } from '../../testing/golden.ts';
import { goldenFiles, goldenStretches, goldenWalVariants } from '../../testing/golden-wal.ts';
import { bareMachine, goldenCopy, goldenPassphrase } from './kit.ts';

for (const { name, encrypted } of goldenVariants) {
  const key = encrypted ? { passphrase: goldenPassphrase } : {};

  test(`all of ${name} comes back`, async () => {
    await using machine = await bareMachine();
    const repository = goldenCopy(machine, name);
    const listed = await machine.run(['list', repository], key);
    assert.equal(listed.code, 0, listed.stderr);
    const ids = listed.stdout
      .split('\n')
      .slice(1, 3)
      .map((line) => line.split(' ', 1)[0] ?? '');
    for (const [index, id] of ids.entries()) {
      const contents = goldenContents[index] ?? {};
      const info = await machine.run(['info', repository, id], key);
      for (const path of Object.keys(contents)) assert.match(info.stdout, new RegExp(` ${path}$`, 'm'));
      const restored = await machine.run(['restore', repository, id, '--to', `out-${index}`], key);
      assert.equal(restored.code, 0, restored.stderr);
      assert.deepEqual(readdirSync(machine.at(`out-${index}`)).toSorted(), Object.keys(contents).toSorted());
      for (const [path, bytes] of Object.entries(contents))
        assert.deepEqual(readFileSync(machine.at(`out-${index}`, path)), bytes);
    }
    const checked = await machine.run(['check', repository], key);
    assert.equal(checked.code, 0, checked.stderr);
    assert.equal(checked.stdout.match(/: whole$/gm)?.length, 2);
  });

  test(`a part of ${name} comes back alone, and only into a place that is empty`, async () => {
    await using machine = await bareMachine();
    const repository = goldenCopy(machine, name);
    const restored = await machine.run(
      ['restore', repository, 'latest:bytes', '--to', 'out', '--only', 'unicode'],
      key,
    );
    assert.equal(restored.code, 0, restored.stderr);
    assert.deepEqual(readdirSync(machine.at('out')), ['unicode']);
    const again = await machine.run(['restore', repository, 'latest', '--to', 'out'], key);
    assert.equal(again.code, 2);
    assert.match(again.stderr, /not empty/);
    const inside = await machine.run(['restore', repository, 'latest', '--to', join(repository, 'out')], key);
    assert.equal(inside.code, 2);
    const nothing = await machine.run(
      ['restore', repository, 'latest', '--to', 'none', '--only', 'nothing'],
      key,
    );
    assert.equal(nothing.code, 1);
    assert.match(nothing.stderr, /nothing in the backup has such a path/);
    assert.ok(!readdirSync(machine.path).includes('none'));
  });
}

test('the passphrase comes from where it is, and a wrong one opens nothing', async () => {
  await using machine = await bareMachine();
  const repository = goldenCopy(machine, 'format-1-encrypted');
  const { id } = JSON.parse(readFileSync(join(repository, 'holdfast.json'), 'utf8')) as { id: string };
  writeFileSync(machine.at('right'), `\uFEFF${goldenPassphrase}\r\nand what else is in the file\n`);
  assert.equal((await machine.run(['list', repository, '--passphrase-file', 'right'])).code, 0);
  assert.equal(
    (await machine.run(['list', repository], { env: { HOLDFAST_PASSPHRASE_FILE: machine.at('right') } }))
      .code,
    0,
  );

  const none = await machine.run(['list', repository]);
  assert.equal(none.code, 2);
  assert.match(none.stderr, /--passphrase-file/);
  const wrong = await machine.run(['restore', repository, 'latest', '--to', 'out'], {
    passphrase: 'correct horse batterz',
  });
  assert.equal(wrong.code, 1);
  assert.match(wrong.stderr, /opens none of the 1 key/);
  assert.ok(!readdirSync(machine.path).includes('out'));

  writeFileSync(machine.at(`${id}.key`), `${goldenPassphrase}\n`);
  assert.equal((await machine.run(['list', repository])).code, 0);
});

for (const { name, encrypted } of goldenWalVariants) {
  const key = encrypted ? { passphrase: goldenPassphrase } : {};

  test(`WAL of ${name} comes back as restore_command needs it`, async () => {
    await using machine = await bareMachine();
    const repository = goldenCopy(machine, name);
    const get = async (file: string, whose = 'golden') => {
      const ran = await machine.run(['wal', repository, whose, file, 'got'], key);
      return { ...ran, bytes: ran.code === 0 ? readFileSync(machine.at('got')) : null };
    };
    const [whole, first, second, other] = goldenStretches.map(({ bytes }) => bytes);
    assert.ok(whole !== undefined && first !== undefined && second !== undefined && other !== undefined);
    const filled = (...parts: readonly Uint8Array[]) => Buffer.concat(parts, 2 * 1024 * 1024);

    assert.deepEqual((await get('000000010000000100000001')).bytes, Buffer.from(whole));
    // Parts, filled up with zeros: there the WAL ends.
    assert.deepEqual((await get('000000010000000100000002')).bytes, filled(first, second));
    assert.deepEqual((await get('0000000A0000000100000002')).bytes, filled(other));
    // The rest is the same with and without encryption, and each key costs its time.
    if (encrypted) return;
    for (const [file, bytes] of Object.entries(goldenFiles))
      assert.deepEqual((await get(file)).bytes, Buffer.from(bytes));
    for (const file of ['000000010000000100000003', '0000000B0000000100000002', '0000000B.history'])
      assert.equal((await get(file)).code, 1, file);
    // WAL follows: what is not there is a gap, not the end.
    const gap = await get('000000010000000100000000');
    assert.equal(gap.code, 126);
    assert.match(gap.stderr, /there is a gap in the WAL of timeline 1, from 1\/0 to 1\/200000/);
    assert.equal((await get('../holdfast.json')).code, 126);
    assert.equal((await get('000000010000000100000001', 'somebody')).code, 126);

    const checked = await machine.run(['check', repository], key);
    assert.equal(checked.code, 0, checked.stderr);
    assert.match(checked.stdout, /^WAL of golden .*: whole$/m);
  });
}
