import {
  GoogleAuth,
  JWT,
  UserRefreshClient,
  Compute,
  gcpMetadata,
  gaxios,
  type AuthClient,
  type JWTInput,
} from 'google-auth-library';
import { failure, isFailure, reasonOf, type HoldfastError } from '../kernel/errors/failure.ts';
import { noCredentials, type CredentialFile, type FoundCredentials } from './google-credentials.ts';
import type { HttpClient } from './http-client.ts';
import { TroubleReaching } from './http-trouble.ts';

export interface TokenOptions {
  /** For messages. */
  readonly location: string;
  readonly scopes: readonly string[];
  /** The user whom a service account acts for (domain-wide delegation). */
  readonly subject?: string | undefined;
  /** What asks for the tokens. */
  readonly http: HttpClient;
  readonly env: Readonly<Record<string, string | undefined>>;
}

const googleTokenUrl = 'https://oauth2.googleapis.com/token';

/** Gets access tokens, and new ones before they run out. Any number of callers share one. */
export class GoogleTokens {
  readonly #found: FoundCredentials;
  readonly #options: TokenOptions;
  #client: Promise<AuthClient> | undefined;

  constructor(found: FoundCredentials, options: TokenOptions) {
    this.#found = found;
    this.#options = options;
  }

  /** Who asks, as Google knows it: the address of a service account, where that is known. */
  get who(): string | undefined {
    return this.#found.kind === 'json' ? this.#found.json.client_email : undefined;
  }

  /** The project that a service account belongs to. */
  get project(): string | undefined {
    return this.#found.kind === 'json' ? this.#found.json.project_id : undefined;
  }

  /**
   * The headers that show who asks. Rejects with `google_credentials` when they are refused, `storage_unreachable`
   * when nobody answers, and with the signal's reason.
   */
  async headers(signal: AbortSignal | undefined): Promise<Readonly<Record<string, string>>> {
    this.#client ??= this.#connect();
    const client = this.#client;
    const asked = client.then(async (ready) => Object.fromEntries(await ready.getRequestHeaders()));
    try {
      return await orAborted(asked, signal);
    } catch (error) {
      // What failed once must not be kept for ever.
      if (this.#client === client && signal?.aborted !== true) this.#client = undefined;
      throw signal?.aborted === true ? error : tokenFailure(error, this.#options.location);
    }
  }

  /** The service does not take these headers any more: the next ones are new. */
  renew(): void {
    this.#client = undefined;
  }

  async #connect(): Promise<AuthClient> {
    const scopes = [...this.#options.scopes];
    if (this.#found.kind === 'json') return await this.#clientOf(this.#found.json, scopes);
    const { env, location } = this.#options;
    const isThere = env['METADATA_SERVER_DETECTION'] !== 'none' && (await gcpMetadata.isAvailable());
    if (!isThere) throw noCredentials(location);
    return new Compute({ scopes });
  }

  async #clientOf(json: CredentialFile, scopes: string[]): Promise<AuthClient> {
    const client = await this.#newClient(json, scopes);
    // Whoever called us tries again, by a clock of its own and with an end.
    client.transporter.interceptors.request.add({
      resolved: async ({ retryConfig: _, ...request }) => ({ ...request, retry: false }),
    });
    return client;
  }

  async #newClient(json: CredentialFile, scopes: string[]): Promise<AuthClient> {
    const transporterOptions = { fetchImplementation: this.#fetchFrom(json.token_uri) };
    if (json.type === 'service_account') {
      const { client_email: email, private_key: key, private_key_id: keyId } = json;
      if (email === undefined || key === undefined) throw new Error('client_email or private_key is missing');
      return new JWT({
        email,
        key,
        scopes,
        transporterOptions,
        ...(keyId === undefined ? {} : { keyId }),
        ...(this.#options.subject === undefined ? {} : { subject: this.#options.subject }),
        ...(json.token_uri === undefined ? {} : { additionalClaims: { aud: json.token_uri } }),
      });
    }
    if (json.type === 'authorized_user') {
      const { client_id: clientId, client_secret: clientSecret, refresh_token: refreshToken } = json;
      if (clientId === undefined || clientSecret === undefined || refreshToken === undefined)
        throw new Error('client_id, client_secret or refresh_token is missing');
      const client = new UserRefreshClient({ clientId, clientSecret, refreshToken, transporterOptions });
      if (json.quota_project_id !== undefined) client.quotaProjectId = json.quota_project_id;
      return client;
    }
    // Identities of other clouds, impersonation: the library knows their forms.
    const auth = new GoogleAuth({
      credentials: json as JWTInput,
      scopes,
      clientOptions: { transporterOptions },
    });
    return await auth.getClient();
  }

  /** The library asks through our connections, so that proxies and deadlines hold, and at the address the file names. */
  #fetchFrom(tokenUrl: string | undefined): typeof fetch {
    const { http } = this.#options;
    return async (input, init) => {
      const asked = new Request(input, init);
      const { status, headers, body } = await http.send({
        method: asked.method === 'POST' ? 'POST' : 'GET',
        url: new URL(asked.url === googleTokenUrl ? (tokenUrl ?? asked.url) : asked.url),
        headers: Object.fromEntries(asked.headers),
        ...(asked.body === null ? {} : { body: [Buffer.from(await asked.text())] }),
        signal: asked.signal,
      });
      const type = headers['content-type'];
      return new Response(Buffer.from(body), {
        status,
        headers: typeof type === 'string' ? { 'content-type': type } : {},
      });
    };
  }
}

async function orAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return work;
  signal.throwIfAborted();
  let onAbort: (() => void) | undefined;
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(signal.reason as Error);
    signal.addEventListener('abort', onAbort, { once: true });
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    if (onAbort !== undefined) signal.removeEventListener('abort', onAbort);
  }
}

function tokenFailure(error: unknown, location: string): HoldfastError {
  if (isFailure(error)) return error;
  const trouble = error instanceof Error && error.cause instanceof TroubleReaching ? error.cause : error;
  if (trouble instanceof TroubleReaching) return trouble.toFailure(location);
  const response = error instanceof gaxios.GaxiosError ? error.response : undefined;
  const reason = response === undefined ? reasonOf(error) : refusalOf(response.data, response.status);
  if (response !== undefined && (response.status === 429 || response.status >= 500))
    return failure(
      'storage_unreachable',
      { location, reason: `no access token: ${reason}` },
      { cause: error },
    );
  const mend = reason.includes('invalid_grant')
    ? 'check the clock of this machine, and that the key or the consent was not withdrawn or has run out; see docs/storage-google.md'
    : 'see docs/storage-google.md for how credentials are made';
  return failure('google_credentials', { location, reason, mend });
}

/** `error` and `error_description` of an answer of the token endpoint, nothing else of it. */
function refusalOf(data: unknown, status: number): string {
  const answer = (typeof data === 'object' && data !== null ? data : {}) as Readonly<Record<string, unknown>>;
  const words = [answer['error'], answer['error_description']].filter((word) => typeof word === 'string');
  return words.length === 0 ? `the token endpoint answered ${status}` : reasonOf(words.join(': '));
}
