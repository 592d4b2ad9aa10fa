import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { startPostgres, type PostgresServer } from '../../testing/postgres-server.ts';
import { runInProcess } from './in-process.ts';
import { sandbox, type Json, type Ran, type RunOptions, type Sandbox } from './program-runner.ts';

/** A server with a database `shop`, and an encrypted repository with one backup of it. */
export interface Shop extends AsyncDisposable {
  readonly server: PostgresServer;
  readonly box: Sandbox;
  /** What every command gets: passphrase, repository and source. */
  readonly env: Readonly<Record<string, string>>;
  readonly backupId: string;
  /** A command that must succeed. */
  ok(args: readonly string[], env?: Readonly<Record<string, string>>): Promise<Ran>;
  /** A command that must fail so, with a hint and without the password. */
  fails(args: readonly string[], exit: number, code: string, options?: RunOptions): Promise<Ran>;
  /** How many backups the repository shows, looking at its manifests. */
  backupCount(): Promise<number>;
}

export async function shop(): Promise<Shop> {
  const server = await startPostgres();
  const box = await sandbox();
  await server.psql('CREATE DATABASE shop');
  await server.psql(
    'CREATE TABLE orders AS SELECT i AS id, md5(i::text) AS note FROM generate_series(1, 20000) i',
    'shop',
  );
  const env = {
    HOLDFAST_PASSPHRASE: 'correct horse battery',
    HOLDFAST_REPOSITORY: box.at('r'),
    DATABASE_URL: server.url('shop'),
  };
  const ok: Shop['ok'] = async (args, more) => {
    const ran = await runInProcess(box, args, { env: { ...env, ...more } });
    assert.equal(ran.code, 0, `holdfast ${args.join(' ')}: ${ran.stderr}`);
    return ran;
  };
  await ok(['init']);
  const summary = (await ok(['backup', '--json'])).lines().at(-1) ?? {};
  return {
    server,
    box,
    env,
    backupId: String((summary['backups'] as Json[])[0]?.['id']),
    ok,
    fails: async (args, exit, code, options = {}) => {
      const all = { ...options, env: { ...env, ...options.env } };
      const ran =
        options.wrapper === undefined ? await runInProcess(box, args, all) : await box.run(args, all);
      assertFailed(ran, exit, code);
      assert.ok(!ran.stderr.includes(server.password) && !ran.stdout.includes(server.password));
      return ran;
    },
    backupCount: async () => (await readdir(box.at('r', 'snapshots'))).length,
    [Symbol.asyncDispose]: async () => {
      await box[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    },
  };
}

/** Exit code and code of the error, and that there is a hint. */
export function assertFailed(ran: Ran, exit: number, code: string): void {
  assert.equal(ran.code, exit, ran.stderr);
  const page = `docs/errors\\.md#${code.toLowerCase()}`;
  assert.match(ran.stderr, new RegExp(`error\\[${code}\\]: .+\\n(.*\\n)*hint: .+\\ndocs: ${page}\\n$`));
}

/** Holds a table until told to let go; whoever wants it then waits. */
export function lockTable(server: PostgresServer, database: string, table: string) {
  const session = server
    .psql(`BEGIN; LOCK TABLE ${table}; SELECT pg_sleep(60); COMMIT`, database)
    .catch(() => '');
  return {
    held: server.psql(
      `DO $$ BEGIN WHILE NOT EXISTS (SELECT FROM pg_locks WHERE relation = to_regclass('${table}') AND granted AND mode = 'AccessExclusiveLock') LOOP PERFORM pg_sleep(0.01); END LOOP; END $$`,
      database,
    ),
    end: async () => {
      await server.psql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(60)%' AND pid <> pg_backend_pid()",
      );
      await session;
    },
  };
}

/** Ends when somebody waits for the table: then the backup is in the middle. */
export function waitingFor(table: string): string {
  return `DO $$ BEGIN WHILE NOT EXISTS (SELECT FROM pg_locks WHERE relation = to_regclass('${table}') AND NOT granted) LOOP PERFORM pg_sleep(0.01); END LOOP; END $$`;
}
