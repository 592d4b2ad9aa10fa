import { failure, isFailure, reasonOf, type HoldfastError } from '../../kernel/errors/failure.ts';
import { apiError, describeApiError, isPassing, type ApiError } from '../google-api.ts';
import type { HttpResponse } from '../http-client.ts';

/** What was being done, for the message. */
export interface DriveDeed {
  /** A verb: `write`, `read`, `list`, `delete`, `look at`, `open`. */
  readonly action: string;
  /** The object's name, or what else it is about. */
  readonly name: string;
  readonly location: string;
}

/** Limits for a day, or of downloads: later is another time. */
const passesWithTime: ReadonlySet<string> = new Set([
  'dailyLimitExceeded',
  'quotaExceeded',
  'downloadQuotaExceeded',
]);

/** How many things a folder, a drive or an account may hold. */
const countLimits: Readonly<Record<string, string>> = {
  numChildrenInNonRootLimitExceeded: 'a folder holds 500,000 things at most',
  teamDriveFileLimitExceeded: 'a shared drive holds 500,000 things at most',
  activeItemCreationLimitExceeded: 'an account may have made so many things and no more',
};

/** The coded error for an answer that is no success. `object_missing` where the answer says that the file is not there. */
export function driveFailure(response: HttpResponse, deed: DriveDeed): HoldfastError {
  const error = apiError(response);
  const { action, name, location } = deed;
  const reason = describeApiError(error);
  if (isPassing(error) || passesWithTime.has(error.reason))
    return failure('storage_failed', { action, name, location, reason });
  if (error.status === 401) {
    const mend = 'see docs/storage-google.md for how credentials are made';
    return failure('google_credentials', { location, reason, mend });
  }
  if (error.status === 404) return failure('object_missing', { name, location });
  if (error.status === 403) return limited(error, deed) ?? denied(error, deed);
  return failure('google_refused', { action, name, location, reason });
}

function limited(error: ApiError, { name, location }: DriveDeed): HoldfastError | undefined {
  const limit = countLimits[error.reason];
  if (limit !== undefined) {
    const mend =
      'remove backups (holdfast clean, holdfast prune), or begin another repository in another folder';
    return failure('gdrive_limit', { location, reason: limit, mend });
  }
  if (error.reason !== 'storageQuotaExceeded') return undefined;
  if (!/service account/i.test(error.message)) return failure('storage_full', { location, name });
  return failure('gdrive_limit', {
    location,
    reason: 'a service account has no space of its own',
    mend: 'use a folder of a shared drive, set gdrive.subject, or use OAuth; see docs/storage-google.md',
  });
}

function denied(error: ApiError, { action, location }: DriveDeed): HoldfastError {
  const mends: Readonly<Record<string, string>> = {
    accessNotConfigured: 'enable the Google Drive API for the project of the credentials',
    insufficientPermissions:
      'the consent or key needs the scope …/auth/drive, or …/auth/drive.file for folders Holdfast made',
    appNotAuthorizedToFile:
      'with the scope drive.file only folders that Holdfast made are seen: name the folder by its path from root',
    domainPolicy: 'an administrator of the domain must allow the app',
  };
  const role =
    action === 'delete'
      ? 'Manager of the shared drive, or owner of the files'
      : 'Content manager or Editor of the folder';
  const mend = mends[error.reason] ?? `share the folder with who the credentials belong to, as ${role}`;
  return failure('storage_denied', { action, location, reason: describeApiError(error), mend });
}

/**
 * Runs `act`; an error without a code becomes `storage_failed`. The reason of an abort stays as it is, whatever it
 * looks like: it may be another part's broken connection.
 */
export async function coded<T>(
  { action, name, location }: DriveDeed,
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
