import { failure, reasonOf, type HoldfastError } from '../../kernel/errors/failure.ts';
import type { S3Deed } from './deed.ts';
import type { S3Place } from './place.ts';

const reasons: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'it refuses connections',
  ECONNRESET: 'the connection broke',
  ECONNABORTED: 'the connection broke',
  EPIPE: 'the connection broke',
  ETIMEDOUT: 'it did not answer in time',
  EHOSTUNREACH: 'there is no way to its host',
  EHOSTDOWN: 'its host is down',
  ENETUNREACH: 'the network is down',
  ENETDOWN: 'the network is down',
  ENOTFOUND: 'there is no host of that name',
  EAI_AGAIN: 'names cannot be looked up right now',
  ERR_STREAM_PREMATURE_CLOSE: 'the connection broke',
};

/** Errors of OpenSSL and of Node about certificates: no second try finds another one. */
const certificate =
  /^(?:CERT_|UNABLE_TO_|SELF_SIGNED|DEPTH_ZERO|ERR_TLS_|INVALID_CA|HOSTNAME_MISMATCH|ERR_OSSL|ERR_SSL|EPROTO)/;

/** For errors of sockets, names, TLS and deadlines; undefined for every other one. */
export function networkFailure(error: unknown, _deed: S3Deed, place: S3Place): HoldfastError | undefined {
  if (!(error instanceof Error)) return undefined;
  const { location, endpoint } = place;
  const code = codeOf(error);
  const at = endpoint ?? 'AWS';
  if (code !== undefined && certificate.test(code))
    return failure('s3_tls', { at, location, reason: `${reasonOf(error)} (${code})` }, { cause: error });
  const isTimeout = error.name === 'TimeoutError' || error.name === 'DeadlineError';
  const isBroken = /aborted|socket hang up|premature|terminated/i.test(error.message);
  const known =
    code === undefined
      ? undefined
      : (reasons[code] ?? (code.startsWith('HPE_') ? reasonOf(error) : undefined));
  if (known === undefined && !isTimeout && !isBroken) return undefined;
  const what =
    isTimeout && code !== 'ECONNRESET' && code !== 'EPIPE'
      ? 'it did not answer in time'
      : (known ?? 'the connection broke');
  const detail = error.name === 'DeadlineError' ? error.message : code;
  const reason = `${what}${detail === undefined ? '' : ` (${detail})`}, at ${at}`;
  return failure('storage_unreachable', { location, reason }, { cause: error });
}

function codeOf(error: Error): string | undefined {
  const { code } = error as NodeJS.ErrnoException;
  if (typeof code === 'string') return code;
  if (error instanceof AggregateError) {
    const first: unknown = error.errors[0];
    return first instanceof Error ? codeOf(first) : undefined;
  }
  return error.cause instanceof Error ? codeOf(error.cause) : undefined;
}
