import {
  Agent as HttpAgent,
  request as httpRequest,
  type ClientRequest,
  type IncomingMessage,
} from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { errnoOf, TroubleReaching } from './http-trouble.ts';
import { pieces, sizeOf } from './parts.ts';

export interface HttpRequest {
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly url: URL;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: readonly Uint8Array[];
  readonly signal?: AbortSignal | undefined;
}

export interface HttpResponse {
  readonly status: number;
  /** By names in lower case. */
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  /** Whole, as long as the service said it would be. The bytes belong to the caller. */
  readonly body: Uint8Array;
}

export interface HttpClientOptions {
  /** Where HTTPS_PROXY, HTTP_PROXY and NO_PROXY are looked for. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** For a connection to be there. */
  readonly connectTimeoutMs: number;
  /** Without a byte either way. A whole exchange may take four times as long, and longer where it carries much. */
  readonly timeoutMs: number;
}

/** What is written at once: a signal or an early answer is noticed between two pieces. */
const pieceBytes = 256 * 1024;
/** Slower than this over the whole of an exchange counts as standing still. */
const slowestBytesPerMs = 16;

/**
 * Requests over connections that are kept, through a proxy where the environment names one. Follows no redirects,
 * keeps no cookies, knows nothing of what an answer means: any status resolves.
 *
 * Rejects with the signal's own reason, or with {@link TroubleReaching} when no whole answer came.
 */
export class HttpClient {
  readonly #options: HttpClientOptions;
  readonly #http: HttpAgent;
  readonly #https: HttpsAgent;

  constructor(options: HttpClientOptions) {
    this.#options = options;
    const agentOptions = { keepAlive: true, scheduling: 'lifo', proxyEnv: { ...options.env } } as const;
    this.#http = new HttpAgent(agentOptions);
    this.#https = new HttpsAgent(agentOptions);
  }

  async send(request: HttpRequest): Promise<HttpResponse> {
    try {
      return await this.#exchange(request);
    } catch (error) {
      // A kept connection that the other side was just closing: as if it had not been sent.
      if (!(error instanceof TroubleReaching) || !error.wasStale || !isLook(request)) throw error;
      return await this.#exchange(request);
    }
  }

  /** Closes kept connections; those in use end with their requests. */
  close(): void {
    this.#http.destroy();
    this.#https.destroy();
  }

  async #exchange(request: HttpRequest): Promise<HttpResponse> {
    request.signal?.throwIfAborted();
    const body = request.body ?? [];
    const secure = request.url.protocol === 'https:';
    const outgoing = (secure ? httpsRequest : httpRequest)(request.url, {
      method: request.method,
      agent: secure ? this.#https : this.#http,
      timeout: this.#options.timeoutMs,
      headers: {
        ...request.headers,
        ...(body.length > 0 || !isLook(request) ? { 'content-length': sizeOf(body) } : {}),
      },
    });
    using watch = new Watch(outgoing, request, this.#options);
    const answered = new Promise<IncomingMessage>((resolve, reject) => {
      outgoing.once('response', resolve);
      outgoing.once('error', reject);
    });
    let isAnswered = false;
    try {
      // The answer may come before everything is sent: then the rest is not.
      const sent = writeBody(outgoing, body);
      const incoming = await Promise.race([answered, sent.then(() => answered)]);
      isAnswered = true;
      watch.expect(incoming);
      const whole = await readBody(incoming, request.method);
      if (!outgoing.writableFinished) outgoing.destroy();
      return { status: incoming.statusCode ?? 0, headers: incoming.headers, body: whole };
    } catch (error) {
      outgoing.destroy();
      if (request.signal?.aborted === true) throw request.signal.reason;
      const isBroken = watch.reason === undefined && errnoOf(error) !== undefined;
      const wasStale = isBroken && outgoing.reusedSocket && !isAnswered;
      throw new TroubleReaching(watch.reason ?? error, { wasStale });
    }
  }
}

/** Ends a request that nothing comes of, or that nobody wants any more. */
class Watch implements Disposable {
  readonly #outgoing: ClientRequest;
  readonly #signal: AbortSignal | undefined;
  readonly #timeoutMs: number;
  readonly #onAbort: () => void;
  #reason: Error | undefined;
  #deadline: NodeJS.Timeout;
  #connecting: NodeJS.Timeout | undefined;

  constructor(outgoing: ClientRequest, { signal, body = [] }: HttpRequest, options: HttpClientOptions) {
    this.#outgoing = outgoing;
    this.#signal = signal;
    this.#timeoutMs = options.timeoutMs;
    this.#onAbort = () => this.#end('it was aborted');
    this.#deadline = this.#endAfter(this.#patienceMs(sizeOf(body)), 'it takes too long');
    // Somebody must listen from the first moment on, or an early error ends the process.
    outgoing.on('error', () => undefined);
    outgoing.once('timeout', () => this.#end(`nothing came for ${seconds(options.timeoutMs)}`));
    outgoing.once('socket', (socket) => {
      if (!socket.connecting) return;
      const ms = options.connectTimeoutMs;
      this.#connecting = this.#endAfter(ms, `no connection within ${seconds(ms)}`);
      socket.once('connect', () => clearTimeout(this.#connecting));
    });
    signal?.addEventListener('abort', this.#onAbort, { once: true });
  }

  /** Why the request was ended from here, if it was. */
  get reason(): Error | undefined {
    return this.#reason;
  }

  /** The answer has begun, and says how much it will bring. */
  expect(incoming: IncomingMessage): void {
    clearTimeout(this.#deadline);
    const bytes = Number(incoming.headers['content-length'] ?? 0);
    this.#deadline = this.#endAfter(this.#patienceMs(bytes), 'it takes too long');
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#deadline);
    clearTimeout(this.#connecting);
    this.#signal?.removeEventListener('abort', this.#onAbort);
  }

  #patienceMs(bytes: number): number {
    return this.#timeoutMs * 4 + bytes / slowestBytesPerMs;
  }

  #endAfter(ms: number, reason: string): NodeJS.Timeout {
    return setTimeout(() => this.#end(reason), ms);
  }

  #end(reason: string): void {
    this.#reason ??= new Error(reason);
    this.#outgoing.destroy(this.#reason);
  }
}

function seconds(ms: number): string {
  return `${ms / 1000} s`;
}

/** Resolves when everything is handed over; stays pending for ever when the request breaks, which is told elsewhere. */
async function writeBody(outgoing: ClientRequest, body: readonly Uint8Array[]): Promise<void> {
  let isAnswered = false;
  outgoing.once('response', () => (isAnswered = true));
  for (const piece of pieces(body, pieceBytes)) {
    if (outgoing.destroyed || isAnswered) return;
    if (!outgoing.write(piece)) await drained(outgoing);
  }
  outgoing.end();
}

function drained(outgoing: ClientRequest): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      for (const event of ['drain', 'close', 'response']) outgoing.off(event, done);
      resolve();
    };
    for (const event of ['drain', 'close', 'response']) outgoing.once(event, done);
  });
}

/** It changes nothing, however often it is asked. */
function isLook({ method }: HttpRequest): boolean {
  return method === 'GET' || method === 'HEAD';
}

async function readBody(incoming: IncomingMessage, method: HttpRequest['method']): Promise<Uint8Array> {
  // The answer to a HEAD tells the length of what it does not bring.
  const promised = method === 'HEAD' ? undefined : incoming.headers['content-length'];
  if (promised === undefined) return joinChunks(incoming);
  // Not from Node's shared pool: the caller may hand the memory on to a worker.
  const whole = Buffer.allocUnsafeSlow(Number(promised));
  let at = 0;
  for await (const chunk of incoming as AsyncIterable<Buffer>) at += chunk.copy(whole, at);
  if (at < whole.byteLength) throw new Error(`the answer ended after ${at} of ${whole.byteLength} bytes`);
  return new Uint8Array(whole.buffer, 0, at);
}

async function joinChunks(incoming: IncomingMessage): Promise<Uint8Array> {
  const chunks: Buffer[] = [];
  for await (const chunk of incoming as AsyncIterable<Buffer>) chunks.push(chunk);
  if (!incoming.complete) throw new Error('the answer broke off');
  return new Uint8Array(Buffer.concat(chunks));
}
