import { RestError } from '@azure/storage-blob';
import { failure, isFailure, reasonOf, type HoldfastError } from '../../kernel/errors/failure.ts';
import { TroubleReaching } from '../http-trouble.ts';

/** What was being done, for the message. */
export interface AzureDeed {
  /** A verb: `write`, `read`, `list`, `delete`, `create`. */
  readonly action: string;
  /** The object's name, or what it is. */
  readonly name: string;
  /** The letter of a shared access signature that allows it. */
  readonly permission: Permission;
  readonly location: string;
  readonly account: string;
  readonly container: string;
}

export type Permission = 'r' | 'c' | 'w' | 'd' | 'l';

const permissions: Readonly<Record<Permission, string>> = {
  r: 'read (r)',
  c: 'create (c)',
  w: 'write (w)',
  d: 'delete (d)',
  l: 'list (l)',
};

/**
 * The coded error for whatever the SDK or our HTTP client throws; coded errors as they are. Only a blob that the
 * service itself says is not there, in a container that is, comes out as `object_missing`.
 */
export function azureFailure(error: unknown, deed: AzureDeed): unknown {
  if (isFailure(error)) return error;
  if (error instanceof TroubleReaching) return error.toFailure(deed.location);
  if (error instanceof RestError && error.statusCode !== undefined)
    return answerFailure(error, error.statusCode, deed);
  const { action, name, location } = deed;
  return failure('storage_failed', { action, name, location, reason: reasonOf(error) });
}

/** The service's own code of an error that {@link azureFailure} made: `BlobAlreadyExists`. */
export function serviceCodeOf(error: unknown): string | undefined {
  return isFailure(error) && error.cause instanceof ServiceError ? error.cause.code : undefined;
}

/** What the service said, without the address it was asked by, which may hold a signature. */
class ServiceError extends Error {
  override readonly name = 'ServiceError';
  readonly status: number;
  readonly code: string;

  constructor(status: number, code: string, message: string) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

function answerFailure(error: RestError, status: number, deed: AzureDeed): HoldfastError {
  const code = error.response?.headers.get('x-ms-error-code') ?? error.code ?? '';
  // Below the first line are numbers of the request.
  const said = (error.message.split('\n', 1)[0] ?? '').trim().slice(0, 300);
  const cause = new ServiceError(status, code, said);
  const { action, name, location } = deed;
  const reason = code === '' ? `status ${status}` : `${code}: ${said}`;
  if (status === 404) return notFound(cause, reason, deed);
  if (status === 401 || status === 403) return forbidden(cause, reason, deed);
  if (status === 409) return conflict(cause, reason, deed);
  if (status === 408 || status === 429 || status >= 500)
    return failure('storage_failed', { action, name, location, reason }, { cause });
  return failure('azure_refused', { action, name, location, reason }, { cause });
}

/** A 404 without the words that it is about a blob may be about anything: it is never "missing". */
function notFound(cause: ServiceError, reason: string, deed: AzureDeed): HoldfastError {
  const { action, name, location, container, account } = deed;
  if (cause.code === 'BlobNotFound') return failure('object_missing', { name, location }, { cause });
  if (cause.code === 'ContainerNotFound')
    return failure('azure_no_container', { container, account, location }, { cause });
  return failure('storage_failed', { action, name, location, reason }, { cause });
}

const loginCodes: ReadonlySet<string> = new Set([
  'AuthenticationFailed',
  'InvalidAuthenticationInfo',
  'NoAuthenticationInformation',
  'KeyBasedAuthenticationNotPermitted',
  'AccountIsDisabled',
]);

/** What lacks, by the service's code. */
const lacks: Readonly<Record<string, string>> = {
  AuthorizationSourceIPMismatch: 'the signature does not hold for the address of this machine (sip)',
  AuthorizationProtocolMismatch: 'the signature only holds for https (spr)',
  AuthorizationServiceMismatch: 'the signature does not hold for blobs (ss must contain b)',
  AuthorizationResourceTypeMismatch:
    'the signature does not hold for containers and blobs (srt must contain c and o)',
  AuthorizationFailure: 'the account keeps us out: its firewall, a rule of its network, or the key is wrong',
};

function forbidden(cause: ServiceError, reason: string, deed: AzureDeed): HoldfastError {
  const { action, account, location, name, permission } = deed;
  // Said to who may create and not overwrite.
  if (cause.code === 'UnauthorizedBlobOverwrite')
    return failure('object_exists', { name, location }, { cause });
  if (cause.status === 401 || loginCodes.has(cause.code))
    return failure('azure_login', { account, location, reason: `${reason}${timeOf(cause)}` }, { cause });
  const lacking = lacks[cause.code] ?? `the permission ${permissions[permission]} is missing`;
  const mend =
    'use a shared access signature with the permissions racwdl for the container, or a key of the account; ' +
    'for the network: az storage account network-rule list';
  return failure(
    'storage_denied',
    { action, location, reason: `${lacking} (${cause.code})`, mend },
    { cause },
  );
}

/** A signature that has run out is told by nothing but words about time. */
function timeOf({ message }: ServiceError): string {
  return /time frame|expir/i.test(message) ? '; the signature has run out, or is not yet valid' : '';
}

function conflict(cause: ServiceError, reason: string, deed: AzureDeed): HoldfastError {
  const { action, name, location } = deed;
  if (['BlobArchived', 'BlobBeingRehydrated'].includes(cause.code))
    return failure('azure_archived', { name, location }, { cause });
  if (['BlobImmutableDueToPolicy', 'BlobImmutableDueToLegalHold'].includes(cause.code))
    return failure('storage_locked', { name, location, reason }, { cause });
  if (cause.code === 'BlobAlreadyExists') return failure('object_exists', { name, location }, { cause });
  // A container that is being deleted, an operation that is still running.
  return failure('storage_failed', { action, name, location, reason }, { cause });
}
