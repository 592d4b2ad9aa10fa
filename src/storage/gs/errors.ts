import { failure, isFailure, reasonOf, type HoldfastError } from '../../kernel/errors/failure.ts';
import { apiError, describeApiError, isPassing, type ApiError } from '../google-api.ts';
import type { HttpResponse } from '../http-client.ts';

/** What was being done, for the message and for naming the permission it needs. */
export interface GsDeed {
  /** A verb: `write`, `read`, `list`, `delete`, `look at`, `create`, `open`. */
  readonly action: string;
  /** The object's name, or what else it is about. */
  readonly name: string;
  readonly permission: string;
  readonly location: string;
  readonly bucket: string;
  /** Who asked, where that is known. */
  readonly who: string | undefined;
}

/** Why an object may not be deleted yet. */
const heldReasons: ReadonlySet<string> = new Set([
  'retentionPolicyNotMet',
  'objectUnderActiveHold',
  'objectUnderRetention',
]);

/** Limits for a time; that a bucket is full is not one of them. */
const passesWithTime: ReadonlySet<string> = new Set(['quotaExceeded', 'dailyLimitExceeded']);

/** The coded error for an answer that is no success. */
export function gsFailure(response: HttpResponse, deed: GsDeed): HoldfastError {
  const error = apiError(response);
  const { action, name, location } = deed;
  const reason = describeApiError(error);
  if (isPassing(error) || passesWithTime.has(error.reason))
    return failure('storage_failed', { action, name, location, reason });
  if (error.status === 401) {
    const mend = 'see docs/storage-google.md for how credentials are made';
    return failure('google_credentials', { location, reason, mend });
  }
  if (heldReasons.has(error.reason)) return failure('storage_locked', { name, location, reason });
  if (error.status === 403) return denied(error, deed);
  if (saysNoBucket(error)) return failure('gs_bucket_missing', { bucket: deed.bucket, location });
  if (error.status === 404) return failure('object_missing', { name, location });
  return failure('google_refused', { action, name, location, reason });
}

/** The bucket itself is not there; any other 404 of an object's address is about the object. */
export function saysNoBucket({ status, message }: ApiError): boolean {
  return status === 404 && /bucket does not exist/i.test(message);
}

function denied(error: ApiError, { action, permission, location, bucket, who }: GsDeed): HoldfastError {
  if (error.reason === 'accountDisabled' || /billing/i.test(error.message)) {
    const mend = 'enable billing for the project of the bucket';
    return failure('storage_denied', { action, location, reason: describeApiError(error), mend });
  }
  const member = who === undefined ? 'serviceAccount:…' : `serviceAccount:${who}`;
  const role = permission.startsWith('storage.buckets.') ? 'roles/storage.admin' : 'roles/storage.objectUser';
  return failure('storage_denied', {
    action,
    location,
    reason: `${who ?? 'whoever the credentials belong to'} needs ${permission} (${describeApiError(error)})`,
    mend: `run: gcloud storage buckets add-iam-policy-binding gs://${bucket} --member=${member} --role=${role}`,
  });
}

/**
 * Runs `act`; an error without a code becomes `storage_failed`. The reason of an abort stays as it is, whatever it
 * looks like: it may be another part's broken connection.
 */
export async function coded<T>(
  { action, name, location }: GsDeed,
  act: () => Promise<T>,
  signal: AbortSignal | undefined,
): Promise<T> {
  try {
    return await act();
  } catch (error) {
    if (isFailure(error) || (signal?.aborted === true && error === signal.reason)) throw error;
    throw failure('storage_failed', { action, name, location, reason: reasonOf(error) }, { cause: error });
  }
}
