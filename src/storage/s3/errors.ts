import { S3ServiceException } from '@aws-sdk/client-s3';
import { failure, isFailure, reasonOf, type HoldfastError } from '../../kernel/errors/failure.ts';
import type { S3Deed } from './deed.ts';
import type { S3Place } from './place.ts';
import { networkFailure } from './network-errors.ts';
import { permissionFor } from './permissions.ts';

/**
 * The coded error for whatever the AWS SDK throws; coded errors as they are. Only an object that the service itself
 * says is not there, in a bucket that is, comes out as `object_missing`.
 */
export function s3Failure(error: unknown, deed: S3Deed, place: S3Place): unknown {
  if (isFailure(error)) return error;
  if (error instanceof S3ServiceException) return serviceFailure(error, deed, place);
  return networkFailure(error, deed, place) ?? otherFailure(error, deed, place);
}

/** The service's own code (`NoSuchKey`), or the name of what the SDK threw, of an error that {@link s3Failure} made. */
export function serviceCodeOf(error: unknown): string | undefined {
  const cause = isFailure(error) ? error.cause : error;
  return cause instanceof S3ServiceException ? cause.name : undefined;
}

export function httpStatusOf(error: unknown): number | undefined {
  const cause = isFailure(error) ? error.cause : error;
  return cause instanceof S3ServiceException ? cause.$metadata.httpStatusCode : undefined;
}

/** What a bad minute of the service looks like. */
const passing: ReadonlySet<string> = new Set([
  'InternalError',
  'OperationAborted',
  'RequestTimeout',
  'ServiceUnavailable',
  'SlowDown',
  'ThrottlingException',
  'Throttling',
  'TooManyRequests',
  'BandwidthLimitExceeded',
  // Bytes that were damaged or lost on the way.
  'BadDigest',
  'IncompleteBody',
  'XAmzContentSHA256Mismatch',
  'XAmzContentChecksumMismatch',
  'InvalidDigest',
  // A part was forgotten, or the whole upload: it is begun anew.
  'NoSuchUpload',
  'InvalidPart',
]);
const full: ReadonlySet<string> = new Set([
  'QuotaExceeded',
  'XMinioStorageFull',
  'XMinioAdminBucketQuotaExceeded',
  'InsufficientCapacity',
  'InsufficientStorage',
  'storage_cap_exceeded',
]);
const tokens: ReadonlySet<string> = new Set([
  'ExpiredToken',
  'InvalidToken',
  'TokenRefreshRequired',
  'ExpiredTokenException',
]);
const deniedCodes: ReadonlySet<string> = new Set([
  'AccessDenied',
  'AllAccessDisabled',
  'AccountProblem',
  'Forbidden',
  '403',
]);

function serviceFailure(error: S3ServiceException, deed: S3Deed, place: S3Place): HoldfastError {
  const { location } = place;
  const { action, name } = deed;
  const status = error.$metadata.httpStatusCode ?? 0;
  const code = error.name;
  const options = { cause: error };
  if (code === 'NoSuchKey') return failure('object_missing', { name, location }, options);
  if (code === 'NoSuchBucket')
    return failure('s3_no_bucket', { bucket: place.bucket, at: placeOf(place), location }, options);
  if (full.has(code) || status === 507) return failure('storage_full', { location, name }, options);
  if (passing.has(code) || status >= 500 || status === 429 || status === 408 || status === 409)
    return failure('storage_failed', { action, name, location, reason: saidBy(error) }, options);
  const known = accountFailure(error, code, place) ?? regionFailure(error, status, place);
  if (known !== undefined) return known;
  if (isAboutLock(error, deed, place))
    return failure('s3_no_lock', { bucket: place.bucket, reason: saidBy(error) }, options);
  if (code === 'InvalidObjectState')
    return failure(
      's3_archived',
      { name, location, class: textOf(error, 'StorageClass') ?? 'an archive' },
      options,
    );
  if (deniedCodes.has(code) || status === 403 || status === 401) return deniedFailure(error, deed, place);
  // A page of something that is no S3 at all has no code in it that any S3 would send; the SDK makes one up.
  if (status === 404 && (code === 'NotFound' || !/^[A-Z][A-Za-z]+$/.test(code)))
    return strangerFailure(place, saidBy(error), error);
  return failure('s3_refused', { action, name, location, reason: saidBy(error) }, options);
}

/** A lock was asked for in a bucket that was made without: services say so with a code that means many things. */
function isAboutLock(error: S3ServiceException, { operation }: S3Deed, { settings }: S3Place): boolean {
  const codes = ['InvalidRequest', 'ObjectLockConfigurationNotFoundError', 'InvalidBucketState'];
  if (settings.object_lock === undefined || !codes.includes(error.name)) return false;
  const withLock = ['PutObject', 'CreateMultipartUpload', 'PutObjectRetention', 'GetObjectRetention'];
  return withLock.includes(operation) && (/lock/i.test(error.message) || error.message === 'UnknownError');
}

/** Of the keys and the clock: nothing that a permission would mend. */
function accountFailure(
  error: S3ServiceException,
  code: string,
  { location, credentials, profile }: S3Place,
): HoldfastError | undefined {
  const options = { cause: error };
  const key =
    credentials?.accessKeyId ?? (profile === undefined ? 'that was found' : `of profile ${profile}`);
  if (code === 'InvalidAccessKeyId' || code === 'InvalidClientTokenId')
    return failure('s3_unknown_key', { key, location }, options);
  if (code === 'SignatureDoesNotMatch') return failure('s3_signature', { key, location }, options);
  if (code === 'RequestTimeTooSkewed' || code === 'RequestExpired') {
    const theirs = textOf(error, 'ServerTime') ?? error.$response?.headers['date'] ?? 'another one';
    return failure('s3_clock', { location, theirs }, options);
  }
  if (tokens.has(code)) return failure('s3_token', { location, reason: saidBy(error) }, options);
  return undefined;
}

/** A bucket of another region: the service says of which. */
function regionFailure(error: S3ServiceException, status: number, place: S3Place): HoldfastError | undefined {
  const right =
    error.$response?.headers['x-amz-bucket-region'] ??
    textOf(error, 'Region') ??
    /expecting '([^']+)'/.exec(error.message)?.[1];
  const wrong =
    [
      'PermanentRedirect',
      'TemporaryRedirect',
      'AuthorizationHeaderMalformed',
      'IllegalLocationConstraintException',
    ].includes(error.name) ||
    status === 301 ||
    (status === 400 && right !== undefined && right !== place.region);
  if (!wrong) return undefined;
  const region = right ?? 'that of the bucket';
  return failure('s3_region', { bucket: place.bucket, region, location: place.location }, { cause: error });
}

function deniedFailure(error: S3ServiceException, deed: S3Deed, place: S3Place): HoldfastError {
  const { permission, on } = permissionFor(deed, place);
  const { location } = place;
  const reason = `the credentials lack ${permission} on ${on} (${saidBy(error)})`;
  const mend = `allow ${permission} on ${on} in the policy of these credentials or of the bucket`;
  const { action, name } = deed;
  const options = { cause: error, details: { permission, on } };
  return failure('storage_denied', { action: `${action} ${name}`, location, reason, mend }, options);
}

function strangerFailure(place: S3Place, reason: string, cause: unknown): HoldfastError {
  return failure('s3_stranger', { at: placeOf(place), location: place.location, reason }, { cause });
}

/** Out of the SDK itself: an answer it could not read, credentials it could not find. */
function otherFailure(error: unknown, deed: S3Deed, place: S3Place): unknown {
  if (!(error instanceof Error)) return error;
  const { location, profile } = place;
  const who = profile === undefined ? '' : `profile ${profile}: `;
  if (/Credentials/.test(error.name) || /credential/i.test(error.message))
    return failure('s3_no_credentials', { location, reason: `${who}${reasonOf(error)}` }, { cause: error });
  if (error.message.startsWith('Region is missing'))
    return failure('s3_no_region', { location }, { cause: error });
  if ('$metadata' in error || '$response' in error || error instanceof SyntaxError)
    return strangerFailure(place, reasonOf(error).slice(0, 200), error);
  const { action, name } = deed;
  return failure('storage_failed', { action, name, location, reason: reasonOf(error) }, { cause: error });
}

/** `SlowDown: please reduce your request rate`, or what there is of it. */
function saidBy(error: S3ServiceException): string {
  const { name, message } = error;
  const status = error.$metadata.httpStatusCode;
  const said = ['', 'UnknownError', name].includes(message) ? '' : `: ${message}`;
  return `${/^[A-Za-z]/.test(name) ? name : 'an error'}${said}${status === undefined ? '' : `, status ${status}`}`;
}

function placeOf({ endpoint, region }: S3Place): string {
  return endpoint ?? `AWS${region === undefined ? '' : ` in ${region}`}`;
}

/** A further element of the service's XML, which the SDK puts on the error as it is. */
function textOf(error: S3ServiceException, key: string): string | undefined {
  const value: unknown = (error as unknown as Readonly<Record<string, unknown>>)[key];
  return typeof value === 'string' && value !== '' ? value : undefined;
}
