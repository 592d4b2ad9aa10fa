import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { test } from 'node:test';
import { withApp } from '../../src/app/compose.ts';
import { reachOf } from '../../src/app/reach.ts';
import { recoveryKit } from '../../src/app/recovery-kit.ts';
import type { RepositoryInfo } from '../../src/repository/model.ts';
import { contextOf, testMachine } from './machine.ts';

test('the recovery kit tells how a bucket is reached, and where copies are, but no secret', async () => {
  await using machine = await testMachine();
  const location = 's3://shop-backups/db';
  await writeFile(
    machine.at('holdfast.yaml'),
    `repository: ${location}
s3: { endpoint: "https://s3.example.org", access_key_id: AKIDNOTSHOWN, secret_access_key: hidden-in-the-kit }
`,
  );
  const context = { ...contextOf(machine) };
  let kit = '';
  await withApp({}, context, null, async (app) => {
    const info = {
      id: 'a'.repeat(32),
      format: 1,
      encrypted: true,
      createdAt: 'now',
    } as unknown as RepositoryInfo;
    const reach = reachOf({ ...app, machine: { ...app.machine, env: { AWS_REGION: "eu-1's" } } }, location);
    kit = recoveryKit(
      { info, location, found: undefined, sources: {}, reach, copies: ['/mnt/nas/db'] },
      'me',
      new Date(0),
    );
    return await Promise.resolve({ schema: 1 as const, ok: true as const });
  });
  assert.match(
    kit,
    /^ {4}export HOLDFAST_S3_ENDPOINT=https:\/\/s3\.example\.org\n {4}export AWS_REGION='eu-1'\\''s'$/m,
  );
  assert.match(kit, /\| copy of it \| `\/mnt\/nas\/db` \|/);
  assert.doesNotMatch(kit, /hidden-in|AKID/);
});
