import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { tempDirectory } from '../../testing/temp.ts';
import { differences, isRoot, listing, opened, restoreTo, run, treeBackup } from './restore-support.ts';

async function makeTree(top: string): Promise<void> {
  const script = `
    set -e
    mkdir -p "$1" && cd "$1"
    mkdir -p a/b/c empty 'with space' shut
    printf 'one' > a/one; printf '' > a/b/nothing; head -c 300000 /dev/urandom > a/b/middle
    head -c 9000000 /dev/urandom > a/b/c/large
    truncate -s 20M sparse; printf 'x' | dd of=sparse bs=1 seek=8000000 conv=notrunc status=none
    truncate -s 1M hole; cp --sparse=never /dev/null full; head -c 1048576 /dev/zero > full
    for i in $(seq 1 700); do printf "file $i" > with\\ space/$i; done
    ln a/one a/b/first; ln a/one zz-last; ln sparse sparse2
    ln -s one a/link; ln -s /nowhere/at/all dangling; ln -s . loop
    printf 'bytes' > "$(printf 'not-utf8-\\377\\376')"; printf 'p' > '100%25 %'; printf 'n' > "$(printf 'new\\nline')"
    printf 'u' > ünïcödé; ln -s "$(printf 'to-\\377')" "$(printf 'l-\\377')"
    chmod 0400 a/one; chmod 2755 a; chmod 1777 empty; chmod 4755 a/b/middle; chmod 0555 a/b/c
    touch -d '1999-12-31 23:59:59.123456789' a/one with\\ space; touch -h -d '2001-01-01 00:00:00.000000001' dangling
    touch -d '1960-05-05 05:05:05.987654321' full
    setfattr -n user.one -v first a/one 2>/dev/null || true
    setfattr -n user.dir -v 'of a directory' shut; setfattr -n user.large -v large a/b/c/large
    setfacl -m u:1234:rx shut a/b/middle; setfacl -d -m g:4321:rwx shut
    printf 'in' > shut/in; chmod 0500 shut`;
  await run('bash', ['-c', script, 'bash', top]);
  if (!isRoot) return;
  const owners = `cd "$1"; chmod 0 a/b/nothing; chown 1000:1001 a/one empty; chown -h 1002:1003 dangling; chown 0:5 a; chmod 2755 a
    setcap cap_net_raw+ep full || true; setfattr -n trusted.x -v y full`;
  await run('bash', ['-c', owners, 'bash', top]);
}

test('everything comes back as it was', async () => {
  await using work = await tempDirectory();
  const original = join(work.path, 'original');
  const restored = join(work.path, 'new', 'restored');
  await makeTree(original);
  await using _opened = opened(work.path);
  const memory = await treeBackup(original);
  const result = await restoreTo(memory, restored);
  assert.deepEqual(result.warnings, []);
  assert.equal(await differences(original, restored), '');
  assert.deepEqual(await listing(restored), await listing(original));
  const attributes = async (at: string): Promise<string> =>
    (
      await run('bash', [
        '-c',
        'cd "$1" && getfattr -R -h -d -m - . | sort && getfacl -R -n . | sort',
        'bash',
        at,
      ])
    ).stdout;
  assert.equal(await attributes(restored), await attributes(original));
  assert.equal(result.checked, result.files);
  for (const name of ['sparse', 'hole']) {
    assert.ok(statSync(join(restored, name)).blocks <= statSync(join(original, name)).blocks, name);
  }
  assert.equal(statSync(join(restored, 'full')).blocks, statSync(join(original, 'full')).blocks);
  assert.equal(memory.bytesRead, memory.bytesTotal);
});
