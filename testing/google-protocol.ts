import type { IncomingMessage } from 'node:http';

export interface Received {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage['headers'];
  /** Filled when the request is about to be handled. */
  body: Buffer;
}

export interface Answer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | string | object;
}

/** Refuses a request in the form of Google's JSON APIs. */
export class Refusal extends Error {
  readonly status: number;
  readonly reason: string;

  constructor(status: number, reason: string, message: string) {
    super(message);
    this.status = status;
    this.reason = reason;
  }
}

/** The two parts of a multipart/related body: JSON first, bytes second. Throws a Refusal when it is not of that form. */
export function readMultipart({ headers, body }: Received): {
  readonly metadata: unknown;
  readonly type: string;
  readonly bytes: Buffer;
} {
  const bad = (why: string): Refusal => new Refusal(400, 'badContent', `Malformed multipart body: ${why}`);
  const [, boundary] =
    /^multipart\/related;\s*boundary="?([\w'()+,./:=?-]{1,70})"?$/.exec(headers['content-type'] ?? '') ?? [];
  if (boundary === undefined) throw bad('content-type');
  const between = Buffer.from(`\r\n--${boundary}`);
  const whole = Buffer.concat([Buffer.from('\r\n'), body]);
  const starts: number[] = [];
  for (let at = whole.indexOf(between); at !== -1; at = whole.indexOf(between, at + 1)) starts.push(at);
  const [first, second, end] = starts;
  if (starts.length !== 3 || first !== 0 || second === undefined || end === undefined) throw bad('parts');
  if (
    whole
      .subarray(end + between.length)
      .toString()
      .trim() !== '--'
  )
    throw bad('end');
  const head = partOf(whole.subarray(between.length + 2, second));
  const media = partOf(whole.subarray(second + between.length + 2, end));
  if (head?.headers['content-type']?.startsWith('application/json') !== true || media === undefined)
    throw bad('headers of a part');
  return {
    metadata: JSON.parse(head.bytes.toString()) as unknown,
    type: media.headers['content-type'] ?? '',
    bytes: media.bytes,
  };
}

function partOf(
  part: Buffer,
): { readonly headers: Record<string, string>; readonly bytes: Buffer } | undefined {
  const gap = part.indexOf('\r\n\r\n');
  if (gap === -1) return undefined;
  const lines = part.subarray(0, gap).toString().split('\r\n');
  const pairs = lines.map((line) => [
    line.split(':', 1)[0]?.toLowerCase() ?? '',
    line.slice(line.indexOf(':') + 1).trim(),
  ]);
  return { headers: Object.fromEntries(pairs) as Record<string, string>, bytes: part.subarray(gap + 4) };
}

/** Only what `fields` asks for: `a,b,items(c,d)`. Everything without it. */
export function pickFields(value: object, fields: string | null): object {
  if (fields === null || fields === '*') return value;
  const wanted = fields.match(/\w+(?:\([^)]*\))?/g) ?? [];
  const from = value as Readonly<Record<string, unknown>>;
  const picked: Record<string, unknown> = {};
  for (const field of wanted) {
    const [, key = '', inner] = /^(\w+)(?:\(([^)]*)\))?$/.exec(field) ?? [];
    const found = from[key];
    if (found === undefined) continue;
    const pick = (item: object): object => (inner === undefined ? item : pickFields(item, inner));
    picked[key] = Array.isArray(found) && inner !== undefined ? (found as object[]).map(pick) : found;
  }
  return picked;
}

/** `bytes=a-b` against a size: what to answer. */
export function rangeOf(
  header: string | undefined,
  sizeBytes: number,
): { start: number; end: number } | 'whole' | 'none' {
  if (header === undefined) return 'whole';
  const [, first, last] = /^bytes=(\d+)-(\d*)$/.exec(header) ?? [];
  if (first === undefined) throw new Refusal(400, 'badRequest', `Range: ${header}`);
  const start = Number(first);
  const end = last === undefined || last === '' ? sizeBytes : Math.min(Number(last) + 1, sizeBytes);
  return start >= sizeBytes ? 'none' : { start, end };
}

/** Every parameter of a request must be one of these: what a service would ignore is a mistake of ours. */
export function onlyParameters({ query }: Received, known: readonly string[]): void {
  for (const key of query.keys()) {
    if (!known.includes(key)) throw new Refusal(400, 'invalidParameter', `Unknown parameter: ${key}`);
  }
}
