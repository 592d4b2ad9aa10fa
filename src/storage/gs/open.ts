import type { GsConfig } from '../../contract/config-gs.ts';
import type { Clock } from '../../kernel/clock.ts';
import { failure } from '../../kernel/errors/failure.ts';
import { z } from 'zod';
import { apiError, describeApiError, GoogleApi, readJson } from '../google-api.ts';
import { findCredentials } from '../google-credentials.ts';
import type { GsLocation } from '../google-locations.ts';
import { GoogleTokens } from '../google-token.ts';
import { HttpClient } from '../http-client.ts';
import { GsBucket } from './bucket.ts';
import { coded, gsFailure, saysNoBucket } from './errors.ts';
import { GsStorage } from './gs-storage.ts';
import { GsPlace } from './place.ts';

export interface OpenGsOptions {
  /** Look whether the bucket is there and everything is permitted that a repository needs. */
  readonly create: boolean;
  /** Make the bucket when it is not there; only together with `create`. */
  readonly createBucket?: boolean;
  readonly settings: GsConfig;
  readonly clock: Pick<Clock, 'sleep'>;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly home?: string | undefined;
}

const service = 'https://storage.googleapis.com';
const scopes: readonly string[] = ['https://www.googleapis.com/auth/devstorage.read_write'];
const needed: readonly string[] = [
  'storage.objects.create',
  'storage.objects.get',
  'storage.objects.list',
  'storage.objects.delete',
];

/**
 * Opens a folder of a bucket. Nothing is asked of the service unless `create` is set: the first call meets what is
 * wrong.
 *
 * Rejects with `google_credentials`, `gs_bucket_missing`, `storage_denied`, `gs_create`,
 * `storage_unreachable`, `storage_failed`.
 */
export async function openGsStorage(location: GsLocation, options: OpenGsOptions): Promise<GsStorage> {
  const { settings, clock, env } = options;
  const shown = `gs://${location.bucket}/${location.prefix}`.replace(/\/$/, '');
  const { connect_timeout: connectTimeoutMs, timeout: timeoutMs } = settings;
  const http = new HttpClient({ env, connectTimeoutMs, timeoutMs });
  const endpoint = endpointOf(options);
  const tokens = await tokensFor(shown, endpoint, http, options);
  const bucket = new GsBucket(location.bucket, new GoogleApi(http, tokens, shown), endpoint);
  const place = new GsPlace({
    bucket,
    prefix: location.prefix,
    chunkBytes: settings.chunk_size,
    storageClass: settings.storage_class,
    clock,
  });
  try {
    if (options.create) await prove(place, options);
  } catch (error) {
    http.close();
    throw error;
  }
  return new GsStorage(place, http);
}

function endpointOf({ settings, env }: OpenGsOptions): URL {
  if (settings.endpoint !== undefined) return new URL(settings.endpoint);
  const emulator = env['STORAGE_EMULATOR_HOST'];
  if (emulator === undefined || emulator === '') return new URL(service);
  return new URL(emulator.includes('://') ? emulator : `http://${emulator}`);
}

async function tokensFor(
  location: string,
  endpoint: URL,
  http: HttpClient,
  { settings, env, home }: OpenGsOptions,
): Promise<GoogleTokens | undefined> {
  const { credentials_file: file } = settings;
  // What the machine has must not be shown to whoever listens on the way to an emulator.
  if (endpoint.protocol === 'http:' && file === undefined) return undefined;
  const found = await findCredentials({ location, file, ambient: true, env, home });
  return new GoogleTokens(found, { location, scopes, http, env });
}

const permissionsSchema = z.object({ permissions: z.array(z.string()).default([]) });

/** That the bucket is there, and that everything is permitted: before hours of work, not after. */
async function prove(place: GsPlace, options: OpenGsOptions): Promise<void> {
  const { location, bucket } = place;
  const deed = place.deed('open', 'the bucket', 'storage.objects.list');
  await coded(
    deed,
    async () => {
      let response = await bucket.permissions(needed, {});
      if (response.status === 404 && options.createBucket === true && saysNoBucket(apiError(response))) {
        await createBucket(place, options);
        response = await bucket.permissions(needed, {});
      }
      // Emulators do not know the request.
      if (response.status === 404 && !saysNoBucket(apiError(response))) return;
      if (response.status === 404) throw failure('gs_bucket_missing', { bucket: bucket.name, location });
      if (response.status === 501) return;
      if (response.status !== 200) throw gsFailure(response, deed);
      const { permissions } = readJson(permissionsSchema, response);
      const missing = needed.filter((permission) => !permissions.includes(permission));
      if (missing.length > 0) throw lacking(place, missing);
    },
    undefined,
  );
}

function lacking({ location, bucket }: GsPlace, missing: readonly string[]): Error {
  const { who } = bucket.api;
  return failure('storage_denied', {
    action: 'keep a repository',
    location,
    reason: `${who ?? 'whoever the credentials belong to'} lacks ${missing.join(', ')}`,
    mend: `run: gcloud storage buckets add-iam-policy-binding gs://${bucket.name} --member=serviceAccount:${who ?? '…'} --role=roles/storage.objectUser`,
  });
}

/** A bucket that nobody but its project reads, where rights are given to the whole and not to single objects. */
async function createBucket(place: GsPlace, { settings, env }: OpenGsOptions): Promise<void> {
  const { location, bucket } = place;
  const project = settings.project ?? env['GOOGLE_CLOUD_PROJECT'] ?? bucket.api.project;
  const region = settings.bucket_location;
  if (project === undefined || region === undefined) {
    const key = project === undefined ? 'gs.project' : 'gs.bucket_location';
    throw failure('gs_create', {
      location,
      reason: `${key} is not set`,
      mend: `set ${key} and run it again`,
    });
  }
  const iamConfiguration = {
    uniformBucketLevelAccess: { enabled: true },
    publicAccessPrevention: 'enforced',
  };
  const response = await bucket.create(project, { location: region, iamConfiguration }, {});
  if (response.status === 200) return;
  const error = apiError(response);
  const reason = describeApiError(error);
  if (error.status === 409) {
    const mend = 'choose another name: those of buckets are shared by the whole world';
    throw failure('gs_create', { location, reason, mend });
  }
  if (error.status === 400 || error.status === 404)
    throw failure('gs_create', { location, reason, mend: 'check gs.project and gs.bucket_location' });
  throw gsFailure(response, place.deed('create', 'the bucket', 'storage.buckets.create'));
}
