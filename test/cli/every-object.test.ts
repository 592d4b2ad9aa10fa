import assert from 'node:assert/strict';
import { test } from 'node:test';
import { installExtension, makeEveryObject } from '../../testing/every-object.ts';
import { dumpAsSets, dumpText } from '../../testing/pg-dump.ts';
import { startPostgres, withoutPostgres } from '../../testing/postgres-server.ts';
import { sandbox, type Json } from './program-runner.ts';

/** Rows of the one big table; HOLDFAST_TRIAL_ROWS=10000000 for the full trial. */
const rows = Number(process.env['HOLDFAST_TRIAL_ROWS'] ?? 20_000);
const limitMs = 60_000 + rows / 5;

test(
  `every kind of object and a table of ${rows} rows come back on another server, by the real program`,
  { skip: withoutPostgres(15), timeout: 10 * limitMs },
  async (t) => {
    const settings = { wal_level: 'logical', max_wal_size: '4GB', autovacuum: 'off' };
    await using source = await startPostgres({ major: 15, settings });
    await using target = await startPostgres({ major: 15, settings });
    await using extension = await installExtension(source);
    await using box = await sandbox();
    const env = { HOLDFAST_PASSPHRASE: 'correct horse battery', HOLDFAST_REPOSITORY: box.at('r') };
    const holdfast = async (...args: string[]): Promise<Json> => {
      const startedAt = performance.now();
      const ran = await box.run([...args, '--json'], { env, limitMs });
      assert.equal(ran.code, 0, `${args[0]}: ${ran.stderr}`);
      t.diagnostic(`${args[0]}: ${((performance.now() - startedAt) / 1000).toFixed(1)} s`);
      return ran.lines().at(-1) ?? {};
    };
    const same = async (what: string, dump: (side: typeof source) => Promise<unknown>): Promise<void> => {
      assert.deepEqual(await dump(target), await dump(source));
      t.diagnostic(`the same on both: ${what}`);
    };

    await makeEveryObject(source, 'every', extension, rows);
    await holdfast('init');
    const [backup] = (await holdfast('backup', '--from', source.url('every')))['backups'] as Json[];
    t.diagnostic(`${backup?.['bytes_read']} bytes read, ${backup?.['bytes_added']} stored`);
    const summary = await holdfast('restore', 'latest', '--to', target.url('every'), '--globals');
    const restored = summary['restored'] as Json;
    t.diagnostic(
      `${restored['tables']} tables, ${restored['rows']} rows, ${restored['checked']} compared by Holdfast`,
    );
    // An existing role with a password of its own is left as it is.
    await same('roles and grants on parameters', (side) =>
      dumpText(side, 'pg_dumpall', 'postgres', '--globals-only', '--no-role-passwords'),
    );
    await same('the database and its objects', (side) =>
      dumpText(side, 'pg_dump', 'every', '--create', '--schema-only'),
    );
    await same('rows, sequences and large objects', (side) =>
      dumpAsSets(side, 'pg_dump', 'every', '--data-only'),
    );

    await target.psql('DROP DATABASE every WITH (FORCE)').catch(async () => {
      // Its subscription holds it back.
      await target.psql(
        'ALTER SUBSCRIPTION ho_subscription SET (slot_name = NONE); DROP SUBSCRIPTION ho_subscription',
        'every',
      );
      await target.psql('DROP DATABASE every WITH (FORCE)');
    });
    await holdfast('restore', 'latest', '--to', target.url('every'), '--only', 'table=app.big');
    await same('the big table alone', (side) => dumpAsSets(side, 'pg_dump', 'every', '--table=app.big'));
    assert.equal(
      await target.psql(
        "SELECT string_agg(relname, ' ') FROM pg_class WHERE relkind = 'r' AND relnamespace = 'app'::regnamespace",
        'every',
      ),
      'big',
    );
    await holdfast('verify', '--read-data');
  },
);
