import { createVerify, generateKeyPairSync, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { Refusal, type Answer, type Received } from './google-protocol.ts';

/** What goes wrong with a request that `when` picks; `times` of them, 1 unless given. */
export type ServerFault = {
  readonly when?: (request: Received) => boolean;
  readonly times?: number;
} & (
  | { readonly kind: 'answer'; readonly status: number; readonly reason?: string; readonly message?: string }
  /** The connection is cut before anything is done. */
  | { readonly kind: 'cut' }
  /** Everything is done, and the connection is cut instead of an answer. */
  | { readonly kind: 'lose' }
  /** The connection is cut when so many bytes of the body have come. */
  | { readonly kind: 'tear'; readonly afterBytes: number }
  /** The answer's body ends after so many bytes, though more were promised. */
  | { readonly kind: 'shorten'; readonly keepBytes: number }
  /** Nothing is answered, and nothing closed. */
  | { readonly kind: 'stall' }
);

export interface Account {
  readonly email: string;
  /** What a service account's JSON file holds; written by the tests. */
  readonly serviceAccount: Readonly<Record<string, string>>;
  readonly oauth: { readonly clientId: string; readonly clientSecret: string; readonly refreshToken: string };
}

interface Token {
  readonly scopes: ReadonlySet<string>;
  readonly who: string;
  readonly expiresAtMs: number;
}

// Making a key takes a while: one for all servers of a process.
let keys: { readonly publicKey: string; readonly privateKey: string } | undefined;

/**
 * An HTTP server on loopback with Google's token endpoint (RFC 7523 assertions, whose signature is checked, and refresh
 * grants), that lets only bearers of its own tokens through to `handle`, notes every request and fails when told to.
 */
export abstract class GoogleServer implements AsyncDisposable {
  readonly account: Account;
  readonly faults: ServerFault[] = [];
  readonly requests: Received[] = [];
  /** Tokens handed out so far. */
  tokensIssued = 0;
  /** What a token is good for, in seconds, by its own words. */
  tokenSeconds = 3600;
  /** Changes an answer on its way out. */
  tamper: ((request: Received, answer: Answer) => Answer) | undefined;
  /** Answers of the token endpoint instead of a token. */
  refuseTokens: { readonly status: number; readonly error: string; readonly description: string } | undefined;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #tokens = new Map<string, Token>();
  readonly #publicKey: string;
  #url = '';

  protected constructor() {
    keys ??= generateKeyPairSync('rsa', {
      modulusLength: 2048,
      publicKeyEncoding: { type: 'spki', format: 'pem' },
      privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    });
    this.#publicKey = keys.publicKey;
    this.account = {
      email: 'backup@shop.iam.gserviceaccount.com',
      serviceAccount: {
        type: 'service_account',
        project_id: 'shop-project',
        private_key_id: 'key-1',
        private_key: keys.privateKey,
        client_email: 'backup@shop.iam.gserviceaccount.com',
      },
      oauth: { clientId: 'client-1', clientSecret: 'client-secret-1', refreshToken: 'refresh-1' },
    };
    this.#server = createServer((request, response) => void this.#serve(request, response));
    this.#server.on('connection', (socket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
    });
  }

  /** Origin, such as `http://127.0.0.1:1234`. */
  get url(): string {
    return this.#url;
  }

  /** Connections that are open. */
  get connections(): number {
    return this.#sockets.size;
  }

  /** The text of a service account's file whose tokens come from here. */
  get credentialsText(): string {
    return JSON.stringify({ ...this.account.serviceAccount, token_uri: `${this.#url}/token` });
  }

  async listen(): Promise<void> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    this.#url = `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, 'close');
  }

  /** Every token that was handed out is worth nothing from now on. */
  forgetTokens(): void {
    this.#tokens.clear();
  }

  /** Whether a request shows who asks in its address, and needs no token. */
  protected abstract isSession(request: Received): boolean;
  /** `received` bytes are fewer than the request promised when its connection was cut. */
  protected abstract torn(request: Received, received: Buffer): void;
  protected abstract handle(request: Received, who: string): Answer;
  /** One of these must be among what a token may do. */
  protected abstract readonly scopes: readonly string[];

  async #serve(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const { socket } = incoming;
    const url = new URL(incoming.url ?? '/', this.#url);
    const request: Received = {
      method: incoming.method ?? '',
      path: url.pathname,
      query: url.searchParams,
      headers: incoming.headers,
      body: Buffer.alloc(0),
    };
    this.requests.push(request);
    const fault = this.#faultFor(request);
    if (fault?.kind === 'cut') return void socket.destroy();
    if (fault?.kind === 'stall') return;
    const body = await readUpTo(incoming, fault?.kind === 'tear' ? fault.afterBytes : Infinity);
    if (body === undefined) return;
    if (fault?.kind === 'tear') {
      this.torn(request, body);
      return void socket.destroy();
    }
    request.body = body;
    const answer = this.#answer(request, fault);
    if (fault?.kind === 'lose') return void socket.destroy();
    send(
      response,
      this.tamper?.(request, answer) ?? answer,
      fault?.kind === 'shorten' ? fault.keepBytes : undefined,
    );
  }

  #faultFor(request: Received): ServerFault | undefined {
    const at = this.faults.findIndex((fault) => fault.when?.(request) ?? true);
    const fault = this.faults[at];
    if (fault === undefined) return undefined;
    const left = (fault.times ?? 1) - 1;
    this.faults.splice(at, 1, ...(left > 0 ? [{ ...fault, times: left }] : []));
    return fault;
  }

  #answer(request: Received, fault: ServerFault | undefined): Answer {
    try {
      if (fault?.kind === 'answer')
        throw new Refusal(fault.status, fault.reason ?? 'backendError', fault.message ?? 'told to fail');
      if (request.path === '/token') return this.#issue(request);
      return this.handle(request, this.isSession(request) ? '' : this.#authenticate(request));
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      const { status, reason, message } = error;
      const errors = [{ domain: 'global', reason, message }];
      return { status, body: { error: { errors, code: status, message } } };
    }
  }

  #authenticate({ headers }: Received): string {
    const [, given = ''] = /^Bearer (\S+)$/.exec(headers.authorization ?? '') ?? [];
    const token = this.#tokens.get(given);
    if (token === undefined || token.expiresAtMs <= Date.now())
      throw new Refusal(401, 'authError', given === '' ? 'Login Required.' : 'Invalid Credentials');
    if (!this.scopes.some((scope) => token.scopes.has(scope)))
      throw new Refusal(403, 'insufficientPermissions', 'Request had insufficient authentication scopes.');
    return token.who;
  }

  #issue(request: Received): Answer {
    const form = new URLSearchParams(request.body.toString());
    if (this.refuseTokens !== undefined) {
      const { status, error, description } = this.refuseTokens;
      return { status, body: { error, error_description: description } };
    }
    const refused = (description: string): Answer => ({
      status: 400,
      body: { error: 'invalid_grant', error_description: description },
    });
    if (!String(request.headers['content-type']).startsWith('application/x-www-form-urlencoded'))
      return refused('not a form');
    const grant = form.get('grant_type');
    if (grant === 'refresh_token') {
      const { clientId, clientSecret, refreshToken } = this.account.oauth;
      const isKnown = form.get('client_id') === clientId && form.get('client_secret') === clientSecret;
      if (!isKnown)
        return { status: 401, body: { error: 'invalid_client', error_description: 'Unauthorized' } };
      if (form.get('refresh_token') !== refreshToken) return refused('Token has been expired or revoked.');
      return this.#token('user@example.com', this.scopes);
    }
    if (grant !== 'urn:ietf:params:oauth:grant-type:jwt-bearer') return refused('unknown grant');
    const claims = this.#claimsOf(form.get('assertion') ?? '');
    return typeof claims === 'string'
      ? refused(claims)
      : this.#token(claims.sub ?? claims.iss, claims.scope.split(' '));
  }

  #claimsOf(assertion: string): { iss: string; sub?: string; scope: string } | string {
    const [head = '', payload = '', signature = ''] = assertion.split('.');
    const verify = createVerify('RSA-SHA256').update(`${head}.${payload}`);
    if (!verify.verify(this.#publicKey, Buffer.from(signature, 'base64url'))) return 'Invalid JWT Signature.';
    const header = JSON.parse(Buffer.from(head, 'base64url').toString()) as { alg?: string };
    const claims = JSON.parse(Buffer.from(payload, 'base64url').toString()) as {
      iss: string;
      sub?: string;
      scope: string;
      aud: string;
      iat: number;
      exp: number;
    };
    const nowS = Date.now() / 1000;
    if (header.alg !== 'RS256') return 'Invalid JWT: alg';
    if (claims.iss !== this.account.email) return 'Invalid JWT: account not found';
    if (claims.aud !== `${this.#url}/token`) return `Invalid JWT: aud is ${claims.aud}`;
    if (claims.exp - claims.iat > 3600 || Math.abs(nowS - claims.iat) > 300)
      return 'Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe.';
    return claims;
  }

  #token(who: string, scopes: readonly string[]): Answer {
    const token = `ya29.${randomUUID()}`;
    this.tokensIssued += 1;
    const expiresAtMs = Date.now() + this.tokenSeconds * 1000;
    this.#tokens.set(token, { who, scopes: new Set(scopes), expiresAtMs });
    return {
      status: 200,
      body: { access_token: token, expires_in: this.tokenSeconds, token_type: 'Bearer' },
    };
  }
}

/** Undefined when the client went away before it had sent what it promised. */
async function readUpTo(incoming: IncomingMessage, limit: number): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of incoming as AsyncIterable<Buffer>) {
      chunks.push(chunk);
      bytes += chunk.byteLength;
      if (bytes >= limit) break;
    }
  } catch {
    return undefined;
  }
  return Buffer.concat(chunks).subarray(0, limit);
}

function send(
  response: ServerResponse,
  { status, headers = {}, body = '' }: Answer,
  keepBytes?: number,
): void {
  const isBytes = body instanceof Uint8Array || typeof body === 'string';
  const bytes = Buffer.from(isBytes ? body : JSON.stringify(body));
  const type = isBytes ? {} : { 'content-type': 'application/json; charset=UTF-8' };
  response.writeHead(status, { ...type, ...headers, 'content-length': bytes.byteLength });
  if (keepBytes === undefined) return void response.end(bytes);
  response.write(bytes.subarray(0, keepBytes), () => response.socket?.destroy());
}
