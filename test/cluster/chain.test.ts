import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { amcheckAll, checkAllPages, clusterTruth } from '../../testing/cluster-truth.ts';
import { ClusterWorkload } from '../../testing/cluster-workload.ts';
import {
  startPostgres,
  withoutPostgres,
  type PostgresChoice,
  type PostgresServer,
} from '../../testing/postgres-server.ts';
import { until } from '../../testing/until.ts';
import { sandbox, type Json, type Ran, type Sandbox } from '../cli/program-runner.ts';
import { ownedDirectory, serverDirectory, startRestored, untilOpen } from './restore-kit.ts';

// One full backup and increments of it while everything changes, each restored and compared with what was there.
// HOLDFAST_TRIAL_CHAIN=30 makes that many increments, on every version and in both modes; HOLDFAST_CHAIN_ONLY='18 stream'
// one of them.
const trial = Number(process.env['HOLDFAST_TRIAL_CHAIN'] ?? '0');
const increments = trial > 0 ? trial : 1;
const seed = Number(process.env['HOLDFAST_SEED'] ?? Math.floor(Math.random() * 1e6));
const cases: readonly (readonly [PostgresChoice, 'local' | 'stream'])[] =
  trial > 0
    ? (['system', 16, 17, 18] as const).flatMap((major) => [
        [major, 'local'] as const,
        [major, 'stream'] as const,
      ])
    : [['system', 'local']];
const launcher = fileURLToPath(new URL('../../bin/holdfast', import.meta.url));

describe(`a chain of ${increments} increments under a workload (seed ${seed})`, () => {
  const only = process.env['HOLDFAST_CHAIN_ONLY'];
  for (const [major, mode] of cases) {
    if (only !== undefined && only !== `${major} ${mode}`) continue;
    it(`PostgreSQL ${major}, ${mode}`, { skip: withoutPostgres(major) }, async (t) => {
      await using chain = await Chain.begin(major, mode);
      const backups: { id: string; point: string; truth: Map<string, string> }[] = [];
      for (let number = 0; number <= increments; number += 1) backups.push(await chain.backUp(number));
      await chain.endWorkload();
      const chosen = trial > 0 ? backups : backups.slice(-1);
      for (const { id, point, truth } of chosen) await chain.restoreAndCompare(id, point, truth);
      t.diagnostic(chain.told());
    });
  }
});

class Chain implements AsyncDisposable {
  readonly #box: Sandbox;
  readonly #place: ReturnType<typeof serverDirectory>;
  readonly #server: PostgresServer;
  readonly #workload: ClusterWorkload;
  readonly #notes: string[] = [];
  #restored = 0;

  private constructor(
    box: Sandbox,
    place: ReturnType<typeof serverDirectory>,
    server: PostgresServer,
    workload: ClusterWorkload,
  ) {
    this.#box = box;
    this.#place = place;
    this.#server = server;
    this.#workload = workload;
  }

  static async begin(major: PostgresChoice, mode: 'local' | 'stream'): Promise<Chain> {
    const place = serverDirectory();
    const box = await sandbox();
    const config = join(place.path, 'holdfast.yaml');
    const server = await startPostgres({
      major,
      initdbArgs: ['--data-checksums'],
      settings: {
        archive_mode: 'on',
        archive_command: `HOME='${place.path}' '${launcher}' wal push %p --config '${config}'`,
        wal_level: 'replica',
        full_page_writes: 'on',
        max_wal_senders: '10',
        max_prepared_transactions: '5',
        autovacuum_naptime: '1s',
        checkpoint_timeout: '30s',
        max_wal_size: '96MB',
        shared_buffers: '16MB',
      },
    });
    const directory = mode === 'local' ? `data_directory: ${server.dataDirectory}, ` : '';
    await writeFile(join(place.path, 'passphrase'), 'correct horse battery staple\n');
    await writeFile(
      config,
      `repository: ${join(place.path, 'r')}
encryption: { passphrase_file: ${join(place.path, 'passphrase')} }
sources: { main: { type: postgres-cluster, ${directory}url: "${server.url()}" } }
`,
    );
    const tablespace = ownedDirectory(join(place.path, 'elsewhere'));
    giveAll(place.path, server);
    const workload = await ClusterWorkload.start(server, { seed, tablespace, pauseMs: trial > 0 ? 15 : 80 });
    const chain = new Chain(box, place, server, workload);
    await chain.#run('init');
    return chain;
  }

  async backUp(number: number): Promise<{ id: string; point: string; truth: Map<string, string> }> {
    const summary: Json | undefined = (await this.#run('backup', 'main')).lines().at(-1);
    const id = String((summary?.['backups'] as readonly Json[] | undefined)?.[0]?.['id']);
    const { metadata: info } = (await this.#run('info', id)).json()['backup'] as { readonly metadata: Json };
    assert.equal(info['bad_page_count'], 0);
    if (number > 0) assert.equal(info['full_because'], null, 'an increment');
    this.#notes.push(`${info['pages_changed']}/${info['pages']} pages`);
    const point = `point ${number}`;
    const truth = await this.#workload.held(async () => {
      await this.#server.psql(`SELECT pg_create_restore_point('${point}')`);
      return await clusterTruth((sql, database) => this.#server.psql(sql, database));
    });
    return { id, point, truth };
  }

  async endWorkload(): Promise<void> {
    await this.#workload[Symbol.asyncDispose]();
    const last = await this.#server.psql('SELECT pg_walfile_name(pg_switch_wal())');
    const archived = async (): Promise<boolean> =>
      (await this.#server.psql('SELECT last_archived_wal FROM pg_stat_archiver')) >= last;
    await until(archived, 'archiving', 120_000);
  }

  async restoreAndCompare(id: string, point: string, truth: Map<string, string>): Promise<void> {
    this.#restored += 1;
    const target = ownedDirectory(join(this.#place.path, `restored-${this.#restored}`));
    const tablespace = ownedDirectory(join(this.#place.path, `elsewhere-${this.#restored}`));
    const mapping = `${join(this.#place.path, 'elsewhere')}=${tablespace}`;
    await this.#run('restore', id, '--to', target, '--at-name', point, '--tablespace', mapping);
    {
      await using restored = await startRestored(this.#server, target, ['max_prepared_transactions=5']);
      await untilOpen(restored);
      const query = (sql: string, database?: string): Promise<string> => restored.psql(sql, database);
      const found = await clusterTruth(query);
      for (const [what, text] of truth)
        assert.ok(
          sameTruth(text, found.get(what)),
          `${point} of ${id}: ${what}: ${found.get(what)}, not ${text}`,
        );
      assert.equal(found.size, truth.size, `${point} of ${id}`);
      assert.ok((await amcheckAll(query)) > 0);
      await restored.psql('CHECKPOINT');
      execFileSync(join(this.#server.binDirectory, 'pg_ctl'), ['-D', target, '-m', 'fast', '-w', 'stop'], {
        cwd: '/',
        ...this.#server.user,
      });
    }
    assert.ok(checkAllPages(target, [tablespace]) > 100);
    await rm(target, { recursive: true });
    await rm(tablespace, { recursive: true });
  }

  told(): string {
    const sorted = (counts: ReadonlyMap<string, number>): string =>
      [...counts].map(([name, count]) => `${name} ${count}`).join(', ');
    return `changed ${this.#notes.join(', ')}; did ${sorted(this.#workload.counts)}; refused ${sorted(this.#workload.refused)}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#workload[Symbol.asyncDispose]().catch(() => undefined);
    await this.#server[Symbol.asyncDispose]();
    await this.#place[Symbol.asyncDispose]();
    await this.#box[Symbol.asyncDispose]();
  }

  /** As the server's user: what it archives and fetches is its own. */
  async #run(...args: readonly string[]): Promise<Ran> {
    const { user } = this.#server;
    const wrapper =
      user === undefined ? [] : ['setpriv', `--reuid=${user.uid}`, `--regid=${user.gid}`, '--clear-groups'];
    const config = join(this.#place.path, 'holdfast.yaml');
    const ran = await this.#box.run([...args, '--json', '--config', config], {
      wrapper,
      cwd: this.#place.path,
      env: { HOME: this.#place.path },
      limitMs: 300_000,
    });
    assert.equal(ran.code, 0, `${args.join(' ')}\n${ran.stderr}`);
    return ran;
  }
}

/**
 * Sequences are up to 32 values further on after a recovery, for PostgreSQL logs them ahead; and those of tables that were
 * unlogged for a while may be as much behind, with PostgreSQL alone, too.
 */
function sameTruth(before: string, after: string | undefined): boolean {
  const [, value] = /^sequence (\d+)$/.exec(before) ?? [];
  if (value === undefined) return before === after;
  const ahead = Number(/^sequence (\d+)$/.exec(after ?? '')?.[1]) - Number(value);
  return Math.abs(ahead) <= 33;
}

function giveAll(directory: string, { user }: PostgresServer): void {
  if (user !== undefined) execFileSync('chown', ['-R', `${user.uid}:${user.gid}`, directory]);
}
