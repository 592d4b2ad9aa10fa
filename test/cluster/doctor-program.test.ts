import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { startPostgres } from '../../testing/postgres-server.ts';
import { tempDirectory } from '../../testing/temp.ts';
import { until } from '../../testing/until.ts';
import { sandbox } from '../cli/program-runner.ts';
import { follow } from './doctor-kit.ts';

interface Found {
  readonly check: string;
  readonly level: string;
  readonly mend?: string;
}

test('the line that doctor prints for archive_command archives', async () => {
  await using server = await startPostgres({ initdbArgs: ['--wal-segsize=1', '--data-checksums'] });
  await using box = await sandbox();
  await using place = await tempDirectory('holdfast-doctor-');
  const repository = join(place.path, "the 100% repo's");
  const passphrase = join(place.path, 'passphrase');
  await writeFile(passphrase, 'correct horse battery staple\n', { mode: 0o644 });
  const config = join(place.path, 'holdfast.yaml');
  await writeFile(
    config,
    `repository: ${JSON.stringify(repository)}
encryption: { passphrase_file: ${passphrase} }
sources:
  Main-1: { type: postgres-cluster, url: ${JSON.stringify(server.url())}, data_directory: ${server.dataDirectory} }
`,
    { mode: 0o644 },
  );
  await chmod(place.path, 0o755);
  assert.equal((await box.run(['init', '--config', config])).code, 0);

  const look = async (): Promise<readonly Found[]> => {
    const ran = await box.run(['doctor', '--config', config, '--json']);
    const { findings } = ran.json() as { findings: readonly Found[] };
    return findings.filter(({ check }) => check.startsWith('Main-1: '));
  };
  const before = await look();
  assert.deepEqual(
    before.filter(({ level }) => level !== 'ok').map(({ check }) => check),
    ['Main-1: archiving'],
  );
  const dry = await box.run(['backup', 'Main-1', '--dry-run', '--config', config]);
  assert.equal(dry.code, 0, dry.stderr);
  assert.match(dry.stdout + dry.stderr, /archive_command = /);

  if (server.user !== undefined) {
    execFileSync('chown', ['-R', `${server.user.uid}:${server.user.gid}`, place.path]);
  }
  const mend = before.find(({ check }) => check === 'Main-1: archiving')?.mend ?? '';
  assert.match(mend, /holdfast wal push %p --source Main-1 --repo .*100%%/);
  await follow(server, mend);
  const name = await server.psql('SELECT pg_walfile_name(pg_switch_wal())');
  const archived = async (): Promise<boolean> =>
    (await server.psql('SELECT last_archived_wal FROM pg_stat_archiver')) >= name;
  await until(archived, await server.log(), 30_000);
  const after = await look();
  assert.deepEqual(
    after.filter(({ level }) => level !== 'ok'),
    [],
  );
});
