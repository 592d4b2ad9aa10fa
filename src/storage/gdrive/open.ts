import { readFile } from 'node:fs/promises';
import type { GdriveConfig } from '../../contract/config-gdrive.ts';
import type { Clock } from '../../kernel/clock.ts';
import { failure, reasonOf } from '../../kernel/errors/failure.ts';
import { Secret } from '../../kernel/secret.ts';
import { GoogleApi } from '../google-api.ts';
import { findCredentials, type OAuthGrant } from '../google-credentials.ts';
import type { GdriveLocation } from '../google-locations.ts';
import { GoogleTokens } from '../google-token.ts';
import { HttpClient } from '../http-client.ts';
import { Drive } from './drive.ts';
import { coded } from './errors.ts';
import { resolveFolder } from './folder.ts';
import { GdriveStorage } from './gdrive-storage.ts';
import { Pace } from './pace.ts';
import { DrivePlace } from './place.ts';

export interface OpenGdriveOptions {
  /** Make the folders of the path that are not there. */
  readonly create: boolean;
  readonly settings: GdriveConfig;
  readonly clock: Pick<Clock, 'sleep' | 'monotonicNs'>;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly home?: string | undefined;
  /** Where refresh tokens are taken; for tests. */
  readonly tokenUrl?: string;
}

const service = 'https://www.googleapis.com';
const scopes: readonly string[] = ['https://www.googleapis.com/auth/drive'];
/** More at once only makes Drive tell us to slow down. */
const requestsAtOnce = 8;

/**
 * Opens a folder of Google Drive. Rejects with `google_credentials`, `gdrive_folder_missing` (no such folder),
 * `gdrive_ambiguous`, `storage_layout`, `storage_denied`, `storage_unreachable`, `storage_failed`.
 */
export async function openGdriveStorage(
  location: GdriveLocation,
  options: OpenGdriveOptions,
): Promise<GdriveStorage> {
  const { settings, clock, env, create } = options;
  const shown = ['gdrive:/', location.root, ...location.folders].join('/');
  const { connect_timeout: connectTimeoutMs, timeout: timeoutMs } = settings;
  const http = new HttpClient({ env, connectTimeoutMs, timeoutMs });
  try {
    const tokens = await tokensFor(shown, http, options);
    const endpoint = new URL(settings.endpoint ?? service);
    const drive = new Drive(new GoogleApi(http, tokens, shown), endpoint, new Pace(clock, requestsAtOnce));
    const deed = { action: 'open', name: 'the folder', location: shown };
    const resolve = () => resolveFolder(drive, location, { location: shown, create });
    const folder = await coded(deed, resolve, undefined);
    const place = new DrivePlace({ location: shown, drive, folder, chunkBytes: settings.chunk_size, clock });
    return new GdriveStorage(place, http);
  } catch (error) {
    http.close();
    throw error;
  }
}

async function tokensFor(
  location: string,
  http: HttpClient,
  { settings, env, home, tokenUrl }: OpenGdriveOptions,
): Promise<GoogleTokens> {
  const { credentials_file: file, subject } = settings;
  const oauth = await grantOf(location, settings, tokenUrl);
  const found = await findCredentials({ location, oauth, file, ambient: true, env, home });
  return new GoogleTokens(found, { location, scopes, subject, http, env });
}

/** The consent of a user, where the settings speak of one. All of it must be there then. */
async function grantOf(
  location: string,
  settings: GdriveConfig,
  tokenUrl: string | undefined,
): Promise<OAuthGrant | undefined> {
  const { client_id: clientId } = settings;
  const clientSecret = settings.client_secret ?? (await secretIn(location, settings.client_secret_file));
  const refreshToken = settings.refresh_token ?? (await secretIn(location, settings.refresh_token_file));
  if (clientId === undefined && clientSecret === undefined && refreshToken === undefined) return undefined;
  if (clientId === undefined || clientSecret === undefined || refreshToken === undefined) {
    const parts = { client_id: clientId, client_secret: clientSecret, refresh_token: refreshToken };
    const missing = Object.entries(parts).flatMap(([key, value]) =>
      value === undefined ? [`gdrive.${key}`] : [],
    );
    const reason = `${missing.join(' and ')} is missing`;
    throw failure('google_credentials', {
      location,
      reason,
      mend: 'see docs/storage-google.md for how to get it',
    });
  }
  return { clientId, clientSecret, refreshToken, ...(tokenUrl === undefined ? {} : { tokenUrl }) };
}

async function secretIn(location: string, file: string | undefined): Promise<Secret | undefined> {
  if (file === undefined) return undefined;
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    const reason = `${file} cannot be read (${reasonOf(error)})`;
    throw failure('google_credentials', { location, reason, mend: 'check its path and its rights' });
  }
  const [line = ''] = text.split(/\r?\n/, 1);
  if (line !== '') return new Secret(line);
  throw failure('google_credentials', {
    location,
    reason: `${file} is empty`,
    mend: 'put the secret in its first line',
  });
}
