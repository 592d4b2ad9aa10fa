import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { accessSync, constants } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { delimiter, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { cephUsers } from './ceph-server.ts';

const tools = ['ceph-mon', 'ceph-osd', 'radosgw', 'radosgw-admin', 'monmaptool', 'ceph', 'setpriv'];

/** For `test(name, { skip: withoutCeph() }, …)`: false when Ceph is installed, else a line saying what is missing. With `CI` set always false. */
export function withoutCeph(): string | false {
  if ((process.env['CI'] ?? '') !== '') return false;
  const missing = tools.filter((tool) => !isOnPath(tool));
  if (missing.length === 0) return false;
  return `skipped: no ${missing.join(', ')} here (Debian: apt-get install ceph-mon ceph-osd radosgw ceph-common)`;
}

/** The S3 gateway of a real Ceph on loopback. */
export interface Ceph {
  /** `http://127.0.0.1:port`. */
  readonly endpoint: string;
  readonly port: number;
  readonly users: typeof cephUsers;
  /** Of the owner, for whatever a test does beside the storage. */
  readonly client: S3Client;
}

export interface CephBucket extends Ceph {
  readonly bucket: string;
}

let shared: Promise<Ceph> | undefined;

/**
 * The Ceph that all test processes of this run share: started by whoever asks first, ended when the run is over. It
 * keeps what is stored in memory, so tests that store much should delete it.
 */
export function ceph(): Promise<Ceph> {
  shared ??= joinRun();
  return shared;
}

/** A new bucket, owned by the owner. It goes with the Ceph. */
export async function cephBucket(options: { readonly lock?: boolean } = {}): Promise<CephBucket> {
  const gateway = await ceph();
  const bucket = `holdfast-${randomBytes(8).toString('hex')}`;
  const lock = options.lock === true ? { ObjectLockEnabledForBucket: true } : {};
  await gateway.client.send(new CreateBucketCommand({ Bucket: bucket, ...lock }));
  return { ...gateway, bucket };
}

async function joinRun(): Promise<Ceph> {
  const port = await portOfSupervisor();
  const endpoint = `http://127.0.0.1:${port}`;
  const client = new S3Client({
    endpoint,
    region: 'us-east-1',
    forcePathStyle: true,
    credentials: cephUsers.owner,
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
  });
  return { endpoint, port, users: cephUsers, client };
}

async function portOfSupervisor(): Promise<number> {
  const deadline = performance.now() + 120_000;
  for (;;) {
    const socket = await connected();
    if (socket !== undefined) return await portFrom(socket);
    if (performance.now() > deadline) throw new Error('nobody keeps a Ceph for the tests');
    startSupervisor();
    await delay(250);
  }
}

/** One for each checkout and user, so that runs of two checkouts do not share what they test with. */
function address(): string {
  const checkout = createHash('sha256')
    .update(import.meta.dirname)
    .digest('hex')
    .slice(0, 16);
  // In the abstract name space: nothing is left to remove, and one that is there has a listener.
  return `\0holdfast-ceph-${process.getuid?.() ?? 0}-${checkout}`;
}

function startSupervisor(): void {
  const script = fileURLToPath(new URL('ceph-supervisor.ts', import.meta.url));
  const { NODE_TEST_CONTEXT: _context, NODE_OPTIONS: _options, ...env } = process.env;
  const child = spawn(process.execPath, [script, address().slice(1)], {
    detached: true,
    stdio: 'ignore',
    env,
  });
  child.unref();
}

async function connected(): Promise<Socket | undefined> {
  const socket = connect({ path: address() });
  try {
    await once(socket, 'connect');
    return socket;
  } catch {
    return undefined;
  }
}

/** The connection stays: it tells the supervisor that this process still uses the Ceph. */
async function portFrom(socket: Socket): Promise<number> {
  // Of a test file the parent is the runner, which outlives it.
  const isTest = process.env['NODE_TEST_CONTEXT'] !== undefined;
  socket.write(String(isTest ? process.ppid : process.pid));
  socket.setEncoding('utf8');
  const [text] = (await once(socket, 'data')) as [string];
  socket.unref();
  socket.on('error', () => undefined);
  const told = JSON.parse(text) as { readonly port?: number; readonly error?: string };
  if (told.port === undefined) throw new Error(told.error ?? 'no port');
  return told.port;
}

function isOnPath(tool: string): boolean {
  const directories = (process.env['PATH'] ?? '').split(delimiter);
  return directories.some((directory) => {
    try {
      accessSync(join(directory, tool), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}
