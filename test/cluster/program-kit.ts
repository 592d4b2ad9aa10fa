import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startPostgres, type PostgresOptions, type PostgresServer } from '../../testing/postgres-server.ts';
import { until } from '../../testing/until.ts';
import { runInProcess } from '../cli/in-process.ts';
import { sandbox, type Json, type Ran, type Running, type Sandbox } from '../cli/program-runner.ts';
import { serverDirectory } from './restore-kit.ts';

const launcher = fileURLToPath(new URL('../../bin/holdfast', import.meta.url));

/** A server that archives by the real command, a repository, and the program, all of the server's user. */
export class ClusterProgram implements AsyncDisposable {
  readonly server: PostgresServer;
  /** A directory that the server's user owns. */
  readonly path: string;
  readonly #box: Sandbox;
  readonly #place: ReturnType<typeof serverDirectory>;

  private constructor(box: Sandbox, place: ReturnType<typeof serverDirectory>, server: PostgresServer) {
    this.#box = box;
    this.#place = place;
    this.path = place.path;
    this.server = server;
  }

  static async begin(
    options: PostgresOptions & { readonly mode?: 'local' | 'stream' },
  ): Promise<ClusterProgram> {
    const { mode = 'local', settings, ...rest } = options;
    const place = serverDirectory();
    const box = await sandbox();
    const server = await startPostgres({
      ...rest,
      settings: {
        archive_mode: 'on',
        archive_command: `HOME='${place.path}' '${launcher}' wal push %p --config '${join(place.path, 'holdfast.yaml')}'`,
        wal_level: 'replica',
        max_wal_senders: '10',
        shared_buffers: '16MB',
        ...settings,
      },
    });
    const program = new ClusterProgram(box, place, server);
    await program.configure(server, mode === 'local' ? server.dataDirectory : undefined);
    await program.run('init');
    return program;
  }

  get repository(): string {
    return join(this.path, 'r');
  }

  /** Makes another server the one that the source is about. */
  async configure(server: { readonly port: number }, dataDirectory?: string): Promise<void> {
    const { superuser, password } = this.server;
    const url = `postgres://${superuser}:${password}@127.0.0.1:${server.port}/postgres`;
    const directory = dataDirectory === undefined ? '' : `data_directory: ${dataDirectory}, `;
    await writeFile(join(this.path, 'passphrase'), 'correct horse battery staple\n');
    await writeFile(
      join(this.path, 'holdfast.yaml'),
      `repository: ${this.repository}
encryption: { passphrase_file: ${join(this.path, 'passphrase')} }
sources: { main: { type: postgres-cluster, ${directory}url: "${url}" } }
`,
    );
    const { user } = this.server;
    if (user !== undefined) execFileSync('chown', ['-R', `${user.uid}:${user.gid}`, this.path]);
  }

  start(...args: string[]): Running {
    const { user } = this.server;
    const wrapper =
      user === undefined ? [] : ['setpriv', `--reuid=${user.uid}`, `--regid=${user.gid}`, '--clear-groups'];
    return this.#box.start([...args, '--json', '--config', join(this.path, 'holdfast.yaml')], {
      wrapper,
      cwd: this.path,
      env: { HOME: this.path },
      limitMs: 300_000,
    });
  }

  /** Fails the test when the program fails. */
  async run(...args: string[]): Promise<Ran> {
    const ran = await this.start(...args).done;
    assert.equal(ran.code, 0, `${args.join(' ')}\n${ran.stdout}${ran.stderr}`);
    return ran;
  }

  /** Within this process, by whoever we are: for what changes nothing. */
  async ask(...args: string[]): Promise<Ran> {
    const config = join(this.path, 'holdfast.yaml');
    return await runInProcess(this.#box, [...args, '--json', '--config', config], { cwd: this.path });
  }

  async backUp(): Promise<BackupFacts> {
    const summary = (await this.run('backup', 'main')).lines().at(-1) ?? {};
    const [made] = summary['backups'] as readonly Json[];
    const id = String(made?.['id']);
    const backup = (await this.ask('info', id)).json()['backup'] as Json;
    const metadata = backup['metadata'] as BackupFacts['metadata'];
    return { id, metadata };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server[Symbol.asyncDispose]();
    await this.#place[Symbol.asyncDispose]();
    await this.#box[Symbol.asyncDispose]();
  }
}

export interface BackupFacts {
  readonly id: string;
  readonly metadata: {
    readonly timeline: number;
    readonly start_lsn: string;
    readonly stop_lsn: string;
    readonly stopped_at: string;
    readonly parent: string | null;
    readonly full_because: string | null;
  };
}

/** The error that a run ended with. */
export function errorOf(ran: Ran): {
  readonly code: string;
  readonly message: string;
  readonly hint: string;
} {
  const last = (ran.stdout.trim() === '' ? ran.stderr : ran.stdout).trim().split('\n').at(-1) ?? '';
  const json = JSON.parse(last) as Json;
  return json['error'] as { code: string; message: string; hint: string };
}

/** Until a server has archived everything that it has written up to now. */
export async function archiveAll(server: { psql(sql: string): Promise<string> }): Promise<void> {
  await server.psql("SELECT pg_create_restore_point('archived')");
  const last = await server.psql('SELECT pg_walfile_name(pg_switch_wal())');
  // A name of the history of a timeline is shorter, and says nothing of its segments.
  const archived = `SELECT last_archived_wal >= '${last}' AND length(last_archived_wal) >= 24 FROM pg_stat_archiver`;
  await until(async () => (await server.psql(archived)) === 't', `${last} to be archived`, 60_000);
}
