import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { startPostgres } from '../testing/postgres-server.ts';
import { lintPackage } from './lint-package.ts';
import { trySdk } from './try-sdk.ts';

// Packs and installs the package as a user would, outside the checkout and without development dependencies, and
// takes a real database through it, by the command line and by programs of all kinds: what is missing in the package (a
// module, a worker, WebAssembly, a type) fails here.

const checkout = dirname(import.meta.dirname);
const scratch = mkdtempSync(join(tmpdir(), 'holdfast-package-'));
try {
  const tarball = npm(checkout, 'pack', '--silent', '--pack-destination', scratch).trim();
  await lintPackage(join(scratch, tarball));
  npm(scratch, 'init', '--yes');
  npm(
    scratch,
    'install',
    '--omit=dev',
    '--no-audit',
    '--no-fund',
    '--prefer-offline',
    join(scratch, tarball),
  );
  await tryIt();
} finally {
  rmSync(scratch, { recursive: true, force: true });
}

async function tryIt(): Promise<void> {
  const { version } = JSON.parse(readFileSync(join(checkout, 'package.json'), 'utf8')) as { version: string };
  assert.equal(holdfast({}, '--version').trim(), version);
  await using server = await startPostgres();
  await server.psql('CREATE DATABASE shop');
  await server.psql('CREATE TABLE orders AS SELECT i, md5(i::text) FROM generate_series(1, 50000) i', 'shop');
  const env = { HOLDFAST_PASSPHRASE: 'correct horse battery', DATABASE_URL: server.url('shop') };
  for (const args of [
    ['init'],
    ['backup'],
    ['verify', '--read-data'],
    ['restore', 'latest', '--to', server.url('copy')],
  ]) {
    holdfast(env, ...args);
  }
  const sum = 'SELECT sum(hashtext(o::text)) FROM orders o';
  assert.equal(await server.psql(sum, 'copy'), await server.psql(sum, 'shop'));
  trySdk(scratch, server.url('shop'));
  process.stdout.write(
    `the package of Holdfast ${version} backs up and restores, and so do programs that use it\n`,
  );
}

function npm(cwd: string, ...args: string[]): string {
  return execFileSync('npm', args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
}

function holdfast(env: Readonly<Record<string, string>>, ...args: string[]): string {
  return execFileSync(join(scratch, 'node_modules/.bin/holdfast'), args, {
    cwd: scratch,
    // Node is on the PATH; nothing of the checkout is.
    env: { PATH: `${dirname(process.execPath)}:/usr/bin:/bin`, HOME: scratch, ...env },
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
}
