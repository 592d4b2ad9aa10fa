import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { until } from './until.ts';

const run = promisify(execFile);

/** Two users of the gateway: one who owns the buckets, one who may do what a bucket's policy says. */
export const cephUsers = {
  owner: { accessKeyId: 'holdfast', secretAccessKey: 'holdfast-secret' },
  agent: { accessKeyId: 'agent', secretAccessKey: 'agent-secret' },
} as const;

export interface CephServer extends AsyncDisposable {
  readonly port: number;
  /** Where the gateway speaks TLS; undefined without a certificate. */
  readonly tlsPort: number | undefined;
}

export interface CephOptions {
  /** A file with the certificate and the key, in PEM. */
  readonly certificate?: string;
  /** How much the cluster may hold, in memory; 8 GiB unless given. */
  readonly capacityBytes?: number;
}

interface Ports {
  readonly port: number;
  readonly tlsPort: number | undefined;
}

/**
 * A Ceph of one monitor, one OSD that keeps everything in memory, and the S3 gateway, on free ports of loopback. Its
 * processes die with this one, however it ends. Commit intervals are cut to what one machine needs, so it starts in
 * two seconds.
 */
export async function startCeph(options: CephOptions = {}): Promise<CephServer> {
  const directory = await mkdtemp(join(tmpdir(), 'holdfast-ceph-'));
  const children: ChildProcess[] = [];
  const stop = async (): Promise<void> => {
    for (const child of children.toReversed()) child.kill('SIGKILL');
    for (const child of children)
      if ((child.exitCode ?? child.signalCode) === null) await once(child, 'exit');
    await rm(directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  };
  try {
    const ports = await bringUp(directory, children, options);
    return { ...ports, [Symbol.asyncDispose]: stop };
  } catch (error) {
    const said = await lastLines(directory);
    await stop();
    throw new Error(`Ceph did not start: ${String(error)}\n${said}`, { cause: error });
  }
}

async function bringUp(directory: string, children: ChildProcess[], options: CephOptions): Promise<Ports> {
  const [port, monitorPort, fsid, osd] = [await freePort(), await freePort(), randomUUID(), randomUUID()];
  const ports = { port, tlsPort: options.certificate === undefined ? undefined : await freePort() };
  const conf = join(directory, 'ceph.conf');
  for (const part of ['run', 'log', 'mon', 'osd', 'rgw']) await mkdir(join(directory, part));
  await writeFile(conf, configuration(directory, fsid, ports, options));
  const tool = async (name: string, ...args: readonly string[]): Promise<void> => {
    await run(name, ['-c', conf, ...args], { timeout: 60_000 });
  };
  const daemon = (name: string, ...args: readonly string[]): void => {
    const line = ['--pdeathsig', 'KILL', name, '-c', conf, '-f', ...args];
    const child = spawn('setpriv', line, { stdio: 'ignore' });
    children.push(child);
    // One time in ten the OSD speaks before it has learned the cluster's id, is refused, and ends.
    child.on('exit', (code) => {
      if (code !== null && code !== 0 && children.length < 20) daemon(name, ...args);
    });
  };
  const map = join(directory, 'monmap');
  await run('monmaptool', ['--create', '--fsid', fsid, '--addv', 'a', `[v1:127.0.0.1:${monitorPort}]`, map]);
  await tool('ceph-mon', '--mkfs', '-i', 'a', '--monmap', map);
  daemon('ceph-mon', '-i', 'a');
  await tool('ceph', 'osd', 'new', osd);
  await tool('ceph-osd', '-i', '0', '--mkfs', '--osd-uuid', osd);
  daemon('ceph-osd', '-i', '0');
  for (const [name, { accessKeyId, secretAccessKey }] of Object.entries(cephUsers)) {
    const keys = [`--access-key=${accessKeyId}`, `--secret-key=${secretAccessKey}`];
    await tool(
      'radosgw-admin',
      'user',
      'create',
      `--uid=${name}`,
      `--display-name=${name}`,
      '--max-buckets=0',
      ...keys,
    );
  }
  const coldClass = ['--placement-id', 'default-placement', '--storage-class', 'STANDARD_IA'];
  await tool('radosgw-admin', 'zonegroup', 'placement', 'add', '--rgw-zonegroup', 'default', ...coldClass);
  await tool(
    'radosgw-admin',
    'zone',
    'placement',
    'add',
    '--rgw-zone',
    'default',
    ...coldClass,
    '--data-pool',
    'cold',
  );
  daemon('radosgw', '-n', 'client.rgw');
  await until(() => answers(port), 'the gateway of Ceph', 60_000);
  return ports;
}

/** No authentication among the daemons, which only listen on loopback; requests to the gateway are signed as ever. */
function configuration(
  directory: string,
  fsid: string,
  { port, tlsPort }: Ports,
  { certificate, capacityBytes = 8 * 2 ** 30 }: CephOptions,
): string {
  const tls =
    tlsPort === undefined ? '' : ` ssl_endpoint=127.0.0.1:${tlsPort} ssl_certificate=${certificate}`;
  const settings: Readonly<Record<string, string | number>> = {
    fsid,
    mon_initial_members: 'a',
    monmap: `${directory}/monmap`,
    auth_cluster_required: 'none',
    auth_service_required: 'none',
    auth_client_required: 'none',
    osd_pool_default_size: 1,
    osd_pool_default_min_size: 1,
    osd_pool_default_pg_num: 1,
    osd_crush_chooseleaf_type: 0,
    mon_allow_pool_size_one: 'true',
    mon_max_pg_per_osd: 1000,
    mon_data_avail_crit: 0,
    mon_data_avail_warn: 0,
    mon_cluster_log_file: `${directory}/log/cluster.log`,
    paxos_propose_interval: 0.05,
    paxos_min_wait: 0.01,
    osd_class_update_on_start: 'false',
    osd_objectstore: 'memstore',
    memstore_device_bytes: capacityBytes,
    ms_bind_ipv6: 'false',
    public_addr: '127.0.0.1',
    run_dir: `${directory}/run`,
    log_file: `${directory}/log/$name.log`,
    admin_socket: `${directory}/run/$name.asok`,
    pid_file: `${directory}/run/$name.pid`,
    mon_data: `${directory}/mon`,
    osd_data: `${directory}/osd`,
    rgw_data: `${directory}/rgw`,
    // Without it every other answer waits 40 ms for an acknowledgement.
    rgw_frontends: `beast endpoint=127.0.0.1:${port}${tls} tcp_nodelay=1`,
    rgw_override_bucket_index_max_shards: 1,
    rgw_gc_obj_min_wait: 5,
    rgw_gc_processor_period: 10,
    rgw_gc_processor_max_time: 10,
    rgw_lc_debug_interval: 10,
  };
  const lines = Object.entries(settings).map(([name, value]) => `${name} = ${value}`);
  return ['[global]', ...lines, ''].join('\n');
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}

async function answers(port: number): Promise<boolean> {
  return await fetch(`http://127.0.0.1:${port}`, { signal: AbortSignal.timeout(1000) }).then(
    () => true,
    () => false,
  );
}

async function lastLines(directory: string): Promise<string> {
  const ends: string[] = [];
  for (const name of ['mon.a', 'osd.0', 'client.rgw', 'client.admin']) {
    const text = await readFile(join(directory, 'log', `${name}.log`), 'utf8').catch(() => '');
    ends.push(`${name}: ${text.slice(-600)}`);
  }
  return ends.join('\n');
}
