import { z } from 'zod';
import type { GoogleTokens } from './google-token.ts';
import type { HttpClient, HttpRequest, HttpResponse } from './http-client.ts';
import { TroubleReaching } from './http-trouble.ts';
import { sizeOf } from './parts.ts';
import { RequestCounter } from './requests.ts';

export interface ApiRequest extends HttpRequest {
  /** The service's own name of what is asked, such as `objects.insert`: for counting. */
  readonly operation: string;
}

/** An error as Google's JSON APIs tell it. */
export interface ApiError {
  readonly status: number;
  /** One word, such as `rateLimitExceeded`; '' when the answer has none. */
  readonly reason: string;
  /** For people. */
  readonly message: string;
}

/** Requests to a JSON API in somebody's name. */
export class GoogleApi {
  /** Of what was sent, tokens excepted. */
  readonly counter = new RequestCounter();
  readonly #http: HttpClient;
  readonly #tokens: GoogleTokens | undefined;
  readonly #location: string;

  /** Without `tokens` nobody's name is told: emulators take that. */
  constructor(http: HttpClient, tokens: GoogleTokens | undefined, location: string) {
    this.#http = http;
    this.#tokens = tokens;
    this.#location = location;
  }

  /** See {@link GoogleTokens.who}. */
  get who(): string | undefined {
    return this.#tokens?.who;
  }

  /** See {@link GoogleTokens.project}. */
  get project(): string | undefined {
    return this.#tokens?.project;
  }

  /**
   * Any answer resolves, whatever its status; a token that is not taken any more is replaced once. Rejects with
   * `storage_unreachable` when no whole answer came, `google_credentials`, and the signal's reason.
   */
  async send(request: ApiRequest): Promise<HttpResponse> {
    const first = await this.#sendAs(request);
    if (first.status !== 401 || this.#tokens === undefined) return first;
    this.#tokens.renew();
    return await this.#sendAs(request);
  }

  /** To an address that is itself the permission: that of an upload which has begun. */
  async sendAsNobody(request: ApiRequest): Promise<HttpResponse> {
    const count = this.counter.of(request.operation);
    count.requests += 1;
    count.sentBytes += sizeOf(request.body ?? []);
    try {
      const response = await this.#http.send(request);
      count.receivedBytes += response.body.byteLength;
      if (response.status >= 400) count.failed += 1;
      return response;
    } catch (error) {
      count.failed += 1;
      throw error instanceof TroubleReaching ? error.toFailure(this.#location) : error;
    }
  }

  async #sendAs(request: ApiRequest): Promise<HttpResponse> {
    const shown = await this.#tokens?.headers(request.signal);
    return this.sendAsNobody({ ...request, headers: { ...request.headers, ...shown } });
  }
}

const errorSchema = z.object({
  error: z.object({
    message: z.string().default(''),
    errors: z.array(z.looseObject({ reason: z.string().default('') })).default([]),
  }),
});

/** What an answer that is no success says of itself. */
export function apiError({ status, body }: HttpResponse): ApiError {
  const parsed = errorSchema.safeParse(parseJson(body));
  if (!parsed.success) return { status, reason: '', message: plainText(body) };
  const { message, errors } = parsed.data.error;
  return { status, reason: errors[0]?.reason ?? '', message };
}

/** Parsed by `schema`. Throws an Error that says what is wrong with the answer. */
export function readJson<S extends z.ZodType>(schema: S, { body }: HttpResponse): z.output<S> {
  const parsed = schema.safeParse(parseJson(body));
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new Error(
    `the answer is not of the form expected (${issue?.path.join('.') ?? ''}: ${issue?.message ?? ''})`,
  );
}

/** Whether the same request may succeed later: too much at once, or trouble on the other side. */
export function isPassing({ status, reason }: ApiError): boolean {
  if (status === 408 || status === 429 || status >= 500) return true;
  return status === 403 && (reason === 'rateLimitExceeded' || reason === 'userRateLimitExceeded');
}

/** For messages: `403 forbidden: …`. */
export function describeApiError({ status, reason, message }: ApiError): string {
  const head = reason === '' ? `${status}` : `${status} ${reason}`;
  return message === '' ? `it answered ${head}` : `it answered ${head}: ${message}`;
}

function parseJson(body: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(body).toString('utf8')) as unknown;
  } catch {
    // No JSON: a proxy's page, most likely. What it says is told as text.
    return undefined;
  }
}

/** The first words of an answer that is a plain text; nothing of one that is a page. */
function plainText(body: Uint8Array): string {
  const text = Buffer.from(body.subarray(0, 200)).toString('utf8').trim();
  return text.startsWith('<') ? '' : text.replaceAll(/\s+/g, ' ');
}
