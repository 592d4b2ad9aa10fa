import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { hash } from 'node:crypto';
import { cpSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { zstdDecompressSync } from 'node:zlib';
import { systemClock } from '../../src/kernel/clock.ts';
import { connectionFromUrl } from '../../src/postgres/connection/connection.ts';
import { findTools, toolPath } from '../../src/postgres/tools.ts';
import { backupPostgres } from '../../src/sources/postgres-logical/backup.ts';
import { openFsStorage } from '../../src/storage/fs/open.ts';
import { everyObjectSql } from '../../testing/every-object.ts';
import { dumpAsSets, dumpText } from '../../testing/pg-dump.ts';
import { startPostgres, withoutPostgres, type PostgresServer } from '../../testing/postgres-server.ts';
import { backUp, makeRepository } from '../../testing/repository.ts';
import { tempDirectory, type TempDirectory } from '../../testing/temp.ts';
import { env } from '../postgres/support.ts';
import { bareMachine, filesBelow, overwrite, type BareMachine } from './kit.ts';

/** Of a row of `many`: no other chunk holds it. */
const hashed = "encode(sha256(('many ' || i)::bytea), 'hex')";

describe('databases out of a repository', { skip: withoutPostgres('system') }, () => {
  let server: PostgresServer;
  let place: TempDirectory;
  let machine: BareMachine;
  let repository: string;
  let tools: string;
  let taken: readonly unknown[];

  /** Runs what how-to-load.txt says, line by line, as somebody would. */
  const load = (directory: string): void => {
    const lines = readFileSync(join(directory, 'how-to-load.txt'), 'utf8').split('\n');
    const commands = lines.filter((line) => line !== '' && !line.startsWith('#'));
    assert.ok(commands.length >= 1, lines.join('\n'));
    for (const command of commands)
      execFileSync('sh', ['-c', command], {
        cwd: directory,
        env: {
          PATH: `${tools}:${process.env['PATH'] ?? ''}`,
          PGHOST: '127.0.0.1',
          PGPORT: String(server.port),
          PGUSER: server.superuser,
          PGPASSWORD: server.password,
        },
        stdio: ['ignore', 'ignore', 'pipe'],
      });
  };
  const everything = async (database: string): Promise<readonly unknown[]> => [
    ...(await dumpText(server, 'pg_dump', database, '--schema-only', '--create')),
    ...(await dumpAsSets(server, 'pg_dump', database, '--data-only')),
  ];
  let aside = 0;
  /** It cannot be dropped: it has a subscription. */
  const putAside = async (): Promise<void> => {
    aside += 1;
    await server.psql(`ALTER DATABASE "every /one" RENAME TO aside_${aside}`);
  };
  /** The records of the chunks that hold this text: nothing is encrypted here. */
  const recordsOf = (words: string | Buffer): [string, number][] => {
    const found: [string, number][] = [];
    for (const file of filesBelow(join(repository, 'packs'))) {
      const bytes = readFileSync(file);
      for (let at = 64; at < bytes.readUInt32LE(bytes.length - 80); at += 44 + bytes.readUInt32LE(at + 8)) {
        const stored = bytes.subarray(at + 44, at + 28 + bytes.readUInt32LE(at + 8));
        if ((bytes[at + 2] === 1 ? zstdDecompressSync(stored) : stored).includes(words))
          found.push([file, at]);
      }
    }
    assert.ok(found.length > 0, `no chunk holds ${String(words)}`);
    return found;
  };
  const damage = (copy: string, records: readonly [string, number][]): void => {
    for (const [file, at] of records) {
      const damaged = file.replace(repository, copy);
      const bytes = readFileSync(damaged);
      bytes[at + 100] = (bytes[at + 100] ?? 0) ^ 1;
      overwrite(damaged, bytes);
    }
  };

  before(async () => {
    server = await startPostgres({ settings: { wal_level: 'logical', fsync: 'off' } });
    place = await tempDirectory();
    machine = await bareMachine();
    const search = { env, signal: new AbortController().signal };
    tools = join(toolPath(await findTools(search, 'pg_restore', server.major, 'a test'), 'pg_restore'), '..');
    await server.psql('CREATE DATABASE "every /one"');
    await server.psql(await everyObjectSql(), 'every /one');
    await server.psql(
      `CREATE TABLE public.many AS SELECT i, ${hashed} AS h FROM generate_series(1, 20000) i`,
      'every /one',
    );
    const random = Array.from({ length: 3000 }, (_, index) => `sha512('${index}')`).join(' || ');
    await server.psql(`SELECT lo_from_bytea(3000000000, ${random})`, 'every /one');
    taken = await everything('every /one');
    repository = join(place.path, 'r');
    const storage = await openFsStorage(repository, { create: true, clock: systemClock });
    await using opened = await makeRepository(storage, { encrypted: false });
    const connection = connectionFromUrl(server.url('every /one'), {});
    for (const jobs of [1, 3])
      await backUp(
        opened,
        {
          name: `jobs-${jobs}`,
          kind: 'postgres',
          backup: (context) =>
            backupPostgres(
              { connection, env, globals: true, bigTableBytes: 8192, smallDatabaseBytes: 0 },
              context,
            ),
        },
        { jobs },
      );
    await storage.close();
  });
  after(async () => {
    await server[Symbol.asyncDispose]();
    await place[Symbol.asyncDispose]();
    await machine[Symbol.asyncDispose]();
  });

  for (const jobs of [1, 3])
    it(`gives an archive that pg_restore makes the same database of, and roles (dumped by ${jobs})`, async () => {
      const ran = await machine.run(['restore', repository, `latest:jobs-${jobs}`, '--to', `out-${jobs}`]);
      assert.equal(ran.code, 0, ran.stderr);
      const out = machine.at(`out-${jobs}`);
      assert.deepEqual(readdirSync(out).toSorted(), [
        'every%20%2Fone.dump',
        'globals.sql',
        'how-to-load.txt',
      ]);
      assert.match(readFileSync(join(out, 'globals.sql'), 'utf8'), /CREATE ROLE ho_owner/);
      await putAside();
      load(out);
      assert.deepEqual(await everything('every /one'), taken);
    });

  it('gives one table as text for COPY', async () => {
    const info = await machine.run(['info', repository, 'latest']);
    assert.match(info.stdout, /pg\.table +every%20%2Fone\/tables\/public\.many$/m);
    const only = ['--only', 'every%20%2Fone/tables/public.many'];
    const ran = await machine.run(['restore', repository, 'latest', '--to', 'table', ...only]);
    assert.equal(ran.code, 0, ran.stderr);
    const rows = readFileSync(machine.at('table/every%20%2Fone/tables/public.many'), 'utf8').split('\n');
    assert.equal(rows[0], `1\t${hash('sha256', 'many 1')}`);
    assert.equal(rows.filter((row) => /^\d+\t[0-9a-f]{64}$/.test(row)).length, 20_000);
  });

  it('loses the rows of a damaged chunk and no others', async () => {
    const copy = machine.at('rows');
    cpSync(repository, copy, { recursive: true });
    damage(copy, recordsOf(hash('sha256', 'many 10000')));
    const ran = await machine.run(['restore', copy, 'latest:jobs-3', '--to', 'rows-out']);
    assert.equal(ran.code, 3, ran.stderr);
    assert.match(ran.stderr, /^DAMAGED: every \/one: public\.many: rows are lost, \d+ bytes of them/m);
    await putAside();
    load(machine.at('rows-out'));
    const [rows = '', wrong] = (
      await server.psql(`SELECT count(*), count(*) FILTER (WHERE ${hashed} <> h) FROM many`, 'every /one')
    ).split('|');
    assert.equal(wrong, '0');
    assert.ok(Number(rows) > 10_000 && Number(rows) < 20_000, rows);
    const without = (all: readonly unknown[]): readonly unknown[] =>
      all.filter((part) => typeof part === 'string' || (part as { rows: number }).rows < 9000);
    assert.deepEqual(without(await everything('every /one')), without(taken));
  });

  it('gives the tables as text when the table of contents is lost', async () => {
    const copy = machine.at('contents');
    cpSync(repository, copy, { recursive: true });
    damage(copy, recordsOf('PGDMP'));
    const ran = await machine.run(['restore', copy, 'latest', '--to', 'contents-out']);
    assert.equal(ran.code, 3, ran.stderr);
    assert.match(ran.stderr, /DAMAGED: every \/one: its table of contents is lost/);
    const tables = readdirSync(machine.at('contents-out/every%20%2Fone/tables'));
    assert.ok(tables.length > 10 && tables.includes('public.many'), tables.join());
    assert.ok(!readdirSync(machine.at('contents-out')).includes('every%20%2Fone.dump'));
  });

  it('loses the bytes of a damaged large object and nothing else', async () => {
    const copy = machine.at('objects');
    cpSync(repository, copy, { recursive: true });
    damage(copy, recordsOf(hash('sha512', '1500', 'buffer')));
    const ran = await machine.run(['restore', copy, 'latest:jobs-1', '--to', 'objects-out']);
    assert.equal(ran.code, 3, ran.stderr);
    assert.match(ran.stderr, /^DAMAGED: every \/one: .*the large object 3000000000 /m);
    await putAside();
    load(machine.at('objects-out'));
    assert.equal(await server.psql('SELECT count(*) FROM many', 'every /one'), '20000');
    const count = 'SELECT count(*) FROM pg_largeobject_metadata';
    assert.equal(await server.psql(count, 'every /one'), String(largeObjects(taken)));
  });
});

function largeObjects(dump: readonly unknown[]): number {
  return dump.filter((line) => typeof line === 'string' && /lo_create\('\d+'\)/.test(line)).length;
}
