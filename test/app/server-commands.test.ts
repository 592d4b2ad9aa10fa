import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { inShell, serverCommands } from '../../src/app/wal/server-commands.ts';
import { Secret } from '../../src/kernel/secret.ts';

/** As PostgreSQL does before it hands a command to the shell. */
const replaced = (command: string): string =>
  command.replaceAll(/%(.)/g, (_, letter: string) => (letter === '%' ? '%' : `<${letter}>`));

test('a word comes out of the shell as it was, whatever is in it', () => {
  for (const text of [
    '/srv/backups',
    "/srv/it's/100% mine",
    'a b',
    '$HOME',
    '`id`',
    'a\\b',
    '"',
    ';',
    '%p',
    '*',
  ])
    assert.equal(
      execFileSync('/bin/sh', ['-c', `printf %s ${replaced(inShell(text))}`], { encoding: 'utf8' }),
      text,
    );
});

test('commands for a server name files, never secrets', () => {
  const secret = new Secret('correct horse');
  const settings = { file: "/etc/it's.yaml" } as Parameters<typeof serverCommands>[0]['settings'];
  const of = (found: Parameters<typeof serverCommands>[3]) =>
    serverCommands({ settings, machine: { env: {} } }, 'main', '/srv/r', found);
  const typed = of({ secret, source: 'terminal' });
  assert.doesNotMatch(`${typed.get}${typed.push}${typed.needs}`, /correct/);
  assert.match(typed.needs ?? '', /HOLDFAST_PASSPHRASE must be set/);
  assert.match(
    typed.get,
    /\/bin\/holdfast wal get %f %p --source main --repo \/srv\/r --config '\/etc\/it'\\''s\.yaml' --quiet$/,
  );
  const kept = of({ secret, source: 'key file', detail: '/home/a b/k.key' });
  assert.match(kept.push, /^HOLDFAST_PASSPHRASE_FILE='\/home\/a b\/k\.key' .* wal push %p /);
  assert.equal(of(undefined).needs, null);
});

test('what only this environment has of credentials is named, and only that of the place', () => {
  const settings = { file: null } as Parameters<typeof serverCommands>[0]['settings'];
  const env = {
    AWS_SECRET_ACCESS_KEY: 'hidden',
    AZURE_STORAGE_KEY: 'other',
    HOLDFAST_S3_ENDPOINT: 'http://x',
    HOME: '/',
  };
  const { variables, get } = serverCommands({ settings, machine: { env } }, 'main', 's3://b/r', undefined);
  assert.match(
    variables ?? '',
    /^AWS_SECRET_ACCESS_KEY, HOLDFAST_S3_ENDPOINT must be set in the environment of the server/,
  );
  assert.doesNotMatch(`${variables}${get}`, /hidden|AZURE/);
});
