import assert from 'node:assert/strict';
import { chmod, chown, writeFile } from 'node:fs/promises';
import { test } from 'node:test';
import { walAccess } from '../../src/app/kinds/cluster-notes.ts';
import { serverCommands } from '../../src/app/wal/server-commands.ts';
import { Secret } from '../../src/kernel/secret.ts';
import { testMachine } from './machine.ts';

test('that a server could not fetch its WAL is told only where that is so, or cannot be told', async () => {
  await using machine = await testMachine();
  const key = machine.at('key');
  await writeFile(key, 'secret\n', { mode: 0o600 });
  const settings = { file: null } as Parameters<typeof walAccess>[0]['settings'];
  const secret = new Secret('x');
  const commands = serverCommands({ settings, machine: { env: {} } }, 'main', 's3://b/r', {
    secret,
    source: 'key file',
    detail: key,
  });
  const own = { uid: process.geteuid?.() ?? 0, gid: process.getegid?.() ?? 0 };
  const of = (...[owner, isStarted]: [Parameters<typeof walAccess>[1], boolean]) =>
    walAccess({ settings }, owner, isStarted, { commands });
  const nothing = { warnings: [], notes: [] };
  assert.deepEqual(of(null, false), nothing);
  const other = { uid: 65_534, gid: 65_534 };
  assert.match(of(other, true).warnings.join('\n'), /user 65534, who cannot read \S+key, /);
  const unknown = of({ uid: 0, gid: 0 }, false);
  assert.deepEqual(unknown.warnings, []);
  assert.match(unknown.notes.join('\n'), /^to fetch its WAL: the server's user must be able to read \S+key$/);
  if (own.uid === 0) {
    // On the way to it anybody may pass.
    for (const path of [machine.at('.'), key]) await chmod(path, path === key ? 0o600 : 0o755);
    await chown(key, other.uid, other.gid);
    assert.deepEqual(of(other, false), nothing);
  }
  const typed = serverCommands({ settings, machine: { env: {} } }, 'main', '/r', {
    secret,
    source: 'terminal',
  });
  const told = (isStarted: boolean) => walAccess({ settings }, null, isStarted, { commands: typed });
  assert.match(told(false).warnings.join('\n'), /HOLDFAST_PASSPHRASE must be set/);
  assert.deepEqual(told(true), nothing);
});
