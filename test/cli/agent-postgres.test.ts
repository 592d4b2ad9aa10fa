import assert from 'node:assert/strict';
import { readdir, writeFile } from 'node:fs/promises';
import { test } from 'node:test';
import { startPostgres, withoutPostgres } from '../../testing/postgres-server.ts';
import { runInProcess } from './in-process.ts';
import { sandbox, type Json, type Ran } from './program-runner.ts';

const passphrase = 'correct horse battery staple';

test(
  'an agent backs up databases and a cluster and streams WAL, and the owner restores and recovers',
  { skip: withoutPostgres(15) },
  async () => {
    await using server = await startPostgres({ major: 15, settings: { wal_level: 'replica' } });
    await using box = await sandbox();
    const shop = server.url('shop');
    await server.psql('CREATE DATABASE shop');
    await server.psql(
      'CREATE TABLE t AS SELECT g AS id, md5(g::text) AS word FROM generate_series(1, 20000) g',
      'shop',
    );
    await writeFile(
      box.at('holdfast.yaml'),
      `repository: ./store
sources:
  shop: { type: postgres, url: '${shop}' }
  main: { type: postgres-cluster, url: '${server.url()}', data_directory: ${server.dataDirectory} }
  remote: { type: postgres-cluster, url: '${server.url()}' }
`,
    );
    const ok = async (env: Readonly<Record<string, string>>, args: readonly string[]): Promise<Ran> => {
      const ran = await runInProcess(box, args, { env });
      assert.equal(ran.code, 0, `${args.join(' ')}: ${ran.stderr}`);
      return ran;
    };
    const owner = (...args: string[]) => ok({ HOLDFAST_PASSPHRASE: passphrase }, args);
    const agent = (...args: string[]) => ok({ HOLDFAST_ENCRYPTION_AGENT_FILE: box.at('agent.json') }, args);
    await owner('init');
    await owner('key', 'agent', '--out', 'agent.json');
    await agent('backup', 'shop');
    await agent('backup', 'main');
    await agent('backup', 'remote');
    await agent('wal', 'stream', '--source', 'main', '--once');
    await server.psql("INSERT INTO t SELECT 20000 + g, 'late' FROM generate_series(1, 500) g", 'shop');
    await agent('wal', 'stream', '--source', 'main', '--once');
    await agent('wal', 'stream', '--source', 'main', '--once');
    const again = await agent('backup', 'shop', '--json');
    const [second] = (again.lines().at(-1)?.['backups'] ?? []) as Json[];
    assert.ok(Number(second?.['bytes_added']) < 200_000, `${second?.['bytes_added']} bytes for 500 rows`);
    await owner('verify', '--read-data');
    await owner('restore', 'latest:shop', '--to', server.url('again'));
    assert.equal((await server.psql('SELECT count(*) FROM t', 'again')).trim(), '20500');
    await owner('restore', 'latest:main', '--to', box.at('cluster'), '--at-end');
    assert.ok((await readdir(box.at('cluster'))).includes('PG_VERSION'));
  },
);
