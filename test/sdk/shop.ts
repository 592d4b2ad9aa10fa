import { join } from 'node:path';
import type { CallOptions, NamedSource } from '../../src/sdk/options.ts';
import { initRepository } from '../../src/sdk/index.ts';
import { startPostgres, type PostgresServer } from '../../testing/postgres-server.ts';
import { tempDirectory } from '../../testing/temp.ts';

export const rows = 20_000;

/** A database with orders, an empty repository, and what calls need to use both. */
export interface Shop extends AsyncDisposable {
  readonly server: PostgresServer;
  readonly options: CallOptions & { readonly repository: string; readonly passphrase: string };
  readonly source: NamedSource;
  readonly directory: string;
  at(...names: string[]): string;
}

export async function shop(): Promise<Shop> {
  await using stack = new AsyncDisposableStack();
  const directory = stack.use(await tempDirectory()).path;
  const at = (...names: string[]): string => join(directory, ...names);
  const server = stack.use(await startPostgres());
  await server.psql('CREATE DATABASE shop');
  await server.psql(
    `CREATE TABLE orders AS SELECT i AS id, md5(i::text) AS what FROM generate_series(1, ${rows}) i`,
    'shop',
  );
  const options = {
    repository: at('backups'),
    passphrase: 'correct horse battery',
    cwd: directory,
    // Nothing of whoever runs the tests: no configuration, no DATABASE_URL, no home.
    env: { PATH: process.env['PATH'], HOME: at('home') },
  };
  await initRepository({ ...options, recoveryKit: at('kit.md') });
  const moved = stack.move();
  return {
    server,
    options,
    source: { name: 'shop', type: 'postgres', url: server.url('shop') },
    directory,
    at,
    [Symbol.asyncDispose]: () => moved.disposeAsync(),
  };
}

/** What a call rejects with. */
export async function rejection(promise: Promise<unknown>): Promise<unknown> {
  return await promise.then(
    () => {
      throw new Error('it did not reject');
    },
    (error: unknown) => error,
  );
}
