import assert from 'node:assert/strict';
import { connectionFromUrl } from '../../src/postgres/connection/connection.ts';
import { parseLsn } from '../../src/postgres/lsn.ts';
import { openReplication } from '../../src/postgres/replication/replication.ts';
import type { Finding } from '../../src/sources/port.ts';
import { checkCluster } from '../../src/sources/postgres-cluster/check/check.ts';
import type { ClusterCheckOptions } from '../../src/sources/postgres-cluster/check/options.ts';
import type { PostgresServer } from '../../testing/postgres-server.ts';

export const slot = 'holdfast_main';
export const push = "holdfast wal push %p --source 'the main'";

export interface Changed extends Partial<ClusterCheckOptions> {
  readonly user?: string;
}

/** What is found of the server: its files are read here, by its superuser, unless said otherwise. */
export async function check(
  server: PostgresServer,
  changed: Changed = {},
  signal = new AbortController().signal,
): Promise<readonly Finding[]> {
  const { user, ...rest } = changed;
  const url = user === undefined ? server.url() : server.url('postgres', user, user);
  const options: ClusterCheckOptions = {
    connection: connectionFromUrl(url, {}),
    dataDirectory: server.dataDirectory,
    slot,
    walWaitingLimitBytes: 1_073_741_824,
    commands: { push, get: 'holdfast wal get %f %p', needs: null, variables: null },
    now: () => Date.now(),
    ...rest,
  };
  return await checkCluster(options, signal);
}

/** The one finding of that name which is not fine. */
export function amiss(findings: readonly Finding[], name: string): Finding & { readonly mend: string } {
  const found = findings.filter(({ check: its, level }) => its === name && level !== 'ok');
  const [only] = found;
  assert.equal(found.length, 1, `${name}: ${JSON.stringify(findings, null, 1)}`);
  assert.ok(only?.mend !== undefined);
  return { ...only, mend: only.mend };
}

export function isFine(findings: readonly Finding[], name: string): void {
  const found = findings.filter(({ check: its, level }) => its === name && level !== 'ok');
  assert.deepEqual(found, []);
}

/** The SQL in a mend, statement by statement. */
export function statements(mend: string): string[] {
  return mend.match(/\b(?:ALTER (?:SYSTEM|ROLE)|GRANT|CHECKPOINT|SELECT pg_)[^;]*;/g) ?? [];
}

/** Does what a mend says: its SQL, and a restart of the server where it asks for one. */
export async function follow(server: PostgresServer, mend: string): Promise<void> {
  const lines = statements(mend);
  const wantsRestart = mend.includes('restart the server');
  assert.ok(lines.length > 0 || wantsRestart, mend);
  for (const line of lines) await server.psql(line);
  if (wantsRestart) await restart(server);
}

export async function restart(server: PostgresServer): Promise<void> {
  await server.stop();
  await server.start();
}

/** Streams from the slot until it is disposed of. */
export async function stream(server: PostgresServer): Promise<AsyncDisposable> {
  const parameters = connectionFromUrl(server.url(), {});
  const link = await openReplication(parameters, new AbortController().signal, {
    clock: { now: () => Date.now() },
  });
  const start = parseLsn(await server.psql('SELECT pg_current_wal_flush_lsn()'));
  assert.ok(start !== undefined);
  const walStream = await link.stream({ slot, start, timeline: 1 });
  walStream.report({ written: start, flushed: start, applied: start });
  return link;
}
