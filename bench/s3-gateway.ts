import {
  CreateBucketCommand,
  DeleteObjectsCommand,
  ListObjectsV2Command,
  S3Client,
} from '@aws-sdk/client-s3';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { Agent, request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { cephUsers, startCeph, type CephServer } from '../testing/ceph-server.ts';

const run = promisify(execFile);

/** Requests by what they cost as: listings apart from the other GETs. */
export type RequestKind = 'PUT' | 'POST' | 'GET' | 'HEAD' | 'LIST' | 'DELETE';
export type RequestCounts = Partial<Record<RequestKind, number>>;

/** The S3 gateway of a Ceph of one machine that keeps everything in memory, with TLS. */
export class Gateway implements AsyncDisposable {
  /** Of the gateway itself. */
  readonly port: number;
  /** Of what counts and passes on. */
  readonly countingPort: number;
  readonly certificate: string;
  readonly #ceph: CephServer;
  readonly #counter: CountingProxy;
  readonly #client: S3Client;

  private constructor(ceph: CephServer, counter: CountingProxy, certificate: string) {
    this.#ceph = ceph;
    this.#counter = counter;
    this.certificate = certificate;
    this.port = ceph.tlsPort ?? 0;
    this.countingPort = counter.port;
    this.#client = new S3Client({
      endpoint: `http://127.0.0.1:${ceph.port}`,
      region: 'us-east-1',
      forcePathStyle: true,
      credentials: cephUsers.owner,
    });
  }

  /** `scratch`: where its certificate goes. */
  static async open(scratch: string): Promise<Gateway> {
    const [certificate, both] = [join(scratch, 'gateway.crt'), join(scratch, 'gateway.pem')];
    const key = join(scratch, 'gateway.key');
    const names = ['-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1'];
    const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'];
    await run('openssl', ['req', '-x509', ...kind, '-keyout', key, '-out', certificate, ...names]);
    writeFileSync(both, readFileSync(certificate, 'utf8') + readFileSync(key, 'utf8'));
    const ceph = await startCeph({ certificate: both, capacityBytes: 16 * 2 ** 30 });
    const counter = await CountingProxy.start(ceph.port, readFileSync(certificate), readFileSync(key));
    return new Gateway(ceph, counter, certificate);
  }

  /** What was counted since the last time this was asked. */
  countsSince(): RequestCounts {
    return this.#counter.take();
  }

  async makeBucket(bucket: string): Promise<void> {
    await this.#client.send(new CreateBucketCommand({ Bucket: bucket }));
  }

  async storedBytes(bucket: string): Promise<number> {
    let bytes = 0;
    for await (const page of this.#pages(bucket)) for (const { size } of page) bytes += size;
    return bytes;
  }

  /** Everything lies in memory, so what is over goes. */
  async empty(bucket: string): Promise<void> {
    for await (const page of this.#pages(bucket)) {
      const Objects = page.map(({ key }) => ({ Key: key }));
      if (Objects.length > 0)
        await this.#client.send(new DeleteObjectsCommand({ Bucket: bucket, Delete: { Objects } }));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#counter[Symbol.asyncDispose]();
    this.#client.destroy();
    await this.#ceph[Symbol.asyncDispose]();
  }

  async *#pages(bucket: string): AsyncGenerator<{ key: string; size: number }[], void, void> {
    let token: string | undefined;
    do {
      const more = token === undefined ? {} : { ContinuationToken: token };
      const page = await this.#client.send(new ListObjectsV2Command({ Bucket: bucket, ...more }));
      token = page.NextContinuationToken;
      yield (page.Contents ?? []).map(({ Key = '', Size = 0 }) => ({ key: Key, size: Size }));
    } while (token !== undefined);
  }
}

/** Speaks TLS to one side and passes on byte for byte, `Host` included, as signatures cover it. */
class CountingProxy implements AsyncDisposable {
  readonly port: number;
  readonly #server: ReturnType<typeof createServer>;
  readonly #agent: Agent;
  readonly #state: { counts: RequestCounts };

  private constructor(
    server: ReturnType<typeof createServer>,
    agent: Agent,
    state: { counts: RequestCounts },
  ) {
    this.#server = server;
    this.#agent = agent;
    this.#state = state;
    this.port = (server.address() as { port: number }).port;
  }

  static async start(to: number, cert: Buffer, key: Buffer): Promise<CountingProxy> {
    const agent = new Agent({ keepAlive: true });
    const state: { counts: RequestCounts } = { counts: {} };
    const server = createServer({ cert, key, keepAliveTimeout: 60_000 }, (from, answer) => {
      const kind = kindOf(from);
      state.counts[kind] = (state.counts[kind] ?? 0) + 1;
      passOn(from, answer, to, agent);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new CountingProxy(server, agent, state);
  }

  take(): RequestCounts {
    const { counts } = this.#state;
    this.#state.counts = {};
    return counts;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    this.#agent.destroy();
    await once(this.#server, 'close');
  }
}

function passOn(from: IncomingMessage, answer: ServerResponse, port: number, agent: Agent): void {
  const { method, url: path, rawHeaders: headers } = from;
  const onward = httpRequest({ port, host: '127.0.0.1', method, path, headers, agent }, (answered) => {
    answer.writeHead(answered.statusCode ?? 500, answered.rawHeaders);
    answered.pipe(answer);
  });
  onward.on('error', () => from.socket.destroy());
  from.pipe(onward);
}

/** A GET of a bucket, and not of an object, lists it. */
function kindOf({ method = 'GET', url = '/' }: IncomingMessage): RequestKind {
  const { pathname } = new URL(url, 'http://gateway');
  const isBucket = pathname.split('/').filter(Boolean).length < 2;
  return method === 'GET' && isBucket ? 'LIST' : (method as RequestKind);
}
