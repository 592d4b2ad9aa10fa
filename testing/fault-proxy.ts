import { once } from 'node:events';
import {
  Agent,
  createServer,
  request as httpRequest,
  type IncomingMessage,
  type ServerResponse,
} from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';

/** What goes wrong with one request. */
export type ProxyFault =
  | { readonly kind: 'delay'; readonly ms: number }
  /** The server is not asked. */
  | { readonly kind: 'answer'; readonly status: 500 | 503 | 429 }
  /** The connection breaks before anything was passed on. */
  | { readonly kind: 'cut_before' }
  /** The connection breaks when `bytes` of the body were passed on: a torn upload. */
  | { readonly kind: 'cut_upload'; readonly bytes: number }
  /** The server did it, and the connection breaks before the client hears of it. */
  | { readonly kind: 'lose_answer' }
  /** The server did it, and the connection breaks when the client has so many bytes of the body. */
  | { readonly kind: 'cut_answer'; readonly bytes: number }
  /** A listing lacks the objects that were put within the last so many requests; with `ms`, within that time as well. */
  | { readonly kind: 'stale_list'; readonly requests: number; readonly ms?: number };

export interface ProxiedRequest {
  readonly method: string;
  /** With its query. */
  readonly path: string;
  /** Counted from 1. */
  readonly index: number;
}

export interface FaultProxy extends AsyncDisposable {
  readonly endpoint: string;
  /** How often each fault came to pass, and `none`. */
  readonly counts: Readonly<Record<string, number>>;
}

/**
 * Stands between a client and an S3 server on loopback. Requests go on byte for byte, `Host` included, as signatures
 * cover it.
 */
export async function faultProxy(
  port: number,
  plan: (request: ProxiedRequest) => ProxyFault | undefined,
): Promise<FaultProxy> {
  const proxy = new Proxy(port, plan);
  await proxy.listen();
  return proxy;
}

/**
 * With probability `rate` one of the faults above; of every other listing a stale one, that lags behind by `lagMs` at most.
 * `random` is uniform in [0, 1); seed it and print the seed.
 */
export function hostileNetwork(
  random: () => number,
  rate: number,
  lagMs = Infinity,
): (request: ProxiedRequest) => ProxyFault | undefined {
  const statuses = [500, 503, 429] as const;
  return ({ method, path }) => {
    if (random() >= rate) return undefined;
    if (method === 'GET' && path.includes('list-type=2') && random() < 0.5)
      return { kind: 'stale_list', requests: 200, ms: lagMs };
    const bytes = Math.floor(random() ** 3 * 2_000_000);
    const faults: readonly ProxyFault[] = [
      { kind: 'delay', ms: Math.floor(random() * 40) },
      { kind: 'answer', status: statuses[Math.floor(random() * 3)] ?? 500 },
      { kind: 'cut_before' },
      { kind: 'lose_answer' },
      { kind: 'cut_answer', bytes: Math.floor(bytes / 4) },
      method === 'PUT' ? { kind: 'cut_upload', bytes } : { kind: 'lose_answer' },
    ];
    return faults[Math.floor(random() * faults.length)];
  };
}

interface Put {
  readonly path: string;
  readonly index: number;
  /** When it was answered. */
  readonly atMs: number;
}

class Proxy implements FaultProxy {
  readonly counts: Record<string, number> = {};
  readonly #port: number;
  readonly #plan: (request: ProxiedRequest) => ProxyFault | undefined;
  readonly #agent = new Agent({ keepAlive: true });
  readonly #server = createServer({ keepAliveTimeout: 60_000 }, (from, to) => void this.#serve(from, to));
  #index = 0;
  #puts: Put[] = [];

  constructor(port: number, plan: (request: ProxiedRequest) => ProxyFault | undefined) {
    this.#port = port;
    this.#plan = plan;
  }

  get endpoint(): string {
    return `http://127.0.0.1:${(this.#server.address() as { port: number }).port}`;
  }

  async listen(): Promise<void> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
    this.#agent.destroy();
  }

  async #serve(from: IncomingMessage, to: ServerResponse): Promise<void> {
    this.#index += 1;
    const { method = 'GET', url: path = '/' } = from;
    const index = this.#index;
    const fault = this.#plan({ method, path, index });
    const kind = fault?.kind ?? 'none';
    this.counts[kind] = (this.counts[kind] ?? 0) + 1;
    for (const side of [from, to]) side.on('error', () => undefined);
    if (fault?.kind === 'delay') await delay(fault.ms);
    if (fault?.kind === 'cut_before') from.socket.destroy();
    else if (fault?.kind === 'answer') refuse(from, to, fault.status);
    else this.#pass(from, to, fault, { path, index });
  }

  #pass(
    from: IncomingMessage,
    to: ServerResponse,
    fault: ProxyFault | undefined,
    put: Omit<Put, 'atMs'>,
  ): void {
    const { method, url: path, rawHeaders: headers } = from;
    const onward = httpRequest({
      port: this.#port,
      host: '127.0.0.1',
      method,
      path,
      headers,
      agent: this.#agent,
    });
    const breakOff = (): void => {
      onward.destroy();
      from.socket.destroy();
    };
    onward.on('error', breakOff);
    from.on('aborted', breakOff);
    onward.on('response', (answer) => {
      answer.on('error', breakOff);
      const isPut = method === 'PUT' || (method === 'POST' && path?.includes('uploadId') === true);
      if (isPut && answer.statusCode === 200)
        this.#puts.push({ ...put, atMs: performance.now(), path: put.path.replace(/\?.*/, '') });
      void this.#giveBack(answer, to, fault, breakOff).catch(breakOff);
    });
    if (fault?.kind !== 'cut_upload') {
      from.pipe(onward);
      return;
    }
    let left = fault.bytes;
    from.on('data', (chunk: Buffer) => {
      if (chunk.byteLength >= left) {
        onward.write(chunk.subarray(0, left), breakOff);
        left = Infinity;
      } else if (left !== Infinity) {
        onward.write(chunk);
        left -= chunk.byteLength;
      }
    });
    from.on('end', () => (left === Infinity ? breakOff() : onward.end()));
  }

  async #giveBack(
    answer: IncomingMessage,
    to: ServerResponse,
    fault: ProxyFault | undefined,
    breakOff: () => void,
  ): Promise<void> {
    if (fault?.kind === 'lose_answer') {
      for await (const _ of answer);
      to.socket?.destroy();
      return;
    }
    if (fault?.kind === 'stale_list') {
      const body = this.#withoutRecent(Buffer.concat(await Array.fromAsync(answer)).toString(), fault);
      to.writeHead(answer.statusCode ?? 500, {
        'content-type': 'application/xml',
        'content-length': Buffer.byteLength(body),
      });
      to.end(body);
      return;
    }
    to.writeHead(answer.statusCode ?? 500, answer.rawHeaders);
    if (fault?.kind !== 'cut_answer') {
      answer.on('aborted', breakOff);
      answer.pipe(to);
      return;
    }
    let left = fault.bytes;
    for await (const chunk of answer as AsyncIterable<Buffer>) {
      if (chunk.byteLength >= left) {
        to.write(chunk.subarray(0, left), () => to.socket?.destroy());
        left = Infinity;
      } else if (left !== Infinity) {
        to.write(chunk);
        left -= chunk.byteLength;
      }
    }
    if (left !== Infinity) to.end();
  }

  /** The listing as it was a while ago, but for what was deleted since. */
  #withoutRecent(
    xml: string,
    { requests, ms = Infinity }: { readonly requests: number; readonly ms?: number },
  ): string {
    this.#puts = this.#puts.filter(({ index }) => index > this.#index - requests);
    const sinceMs = performance.now() - ms;
    const recent = new Set(
      this.#puts.filter(({ atMs }) => atMs >= sinceMs).map(({ path }) => decodeURIComponent(path)),
    );
    const bucket = /<Name>([^<]*)<\/Name>/.exec(xml)?.[1] ?? '';
    return xml.replaceAll(/<Contents><Key>([^<]*)<\/Key>.*?<\/Contents>/gs, (entry, key: string) =>
      recent.has(`/${bucket}/${decodeURIComponent(key)}`) ? '' : entry,
    );
  }
}

function refuse(from: IncomingMessage, to: ServerResponse, status: number): void {
  const code = { 500: 'InternalError', 503: 'SlowDown' }[status] ?? 'TooManyRequests';
  // As a server that reads the request first: one that does not breaks the connection.
  from.resume();
  from.on('end', () => {
    to.writeHead(status, { 'content-type': 'application/xml' });
    to.end(from.method === 'HEAD' ? undefined : `<?xml version="1.0"?><Error><Code>${code}</Code></Error>`);
  });
}
