import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { failure, reasonOf, type HoldfastError } from '../kernel/errors/failure.ts';
import type { Secret } from '../kernel/secret.ts';

export interface OAuthGrant {
  readonly clientId: string;
  readonly clientSecret: Secret;
  readonly refreshToken: Secret;
  /** Where it is taken; at Google unless given. */
  readonly tokenUrl?: string;
}

/** Where credentials may come from, in order of preference. */
export interface CredentialPlaces {
  /** For messages. */
  readonly location: string;
  /** A user's consent, given to an application. */
  readonly oauth?: OAuthGrant | undefined;
  /** The JSON file that the settings name. */
  readonly file?: string | undefined;
  /** What the environment and the machine offer: a file, what gcloud left, the metadata server. */
  readonly ambient: boolean;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly home?: string | undefined;
}

/** Credentials as they were found, not yet tried. */
export type FoundCredentials =
  | { readonly kind: 'json'; readonly json: CredentialFile; readonly from: string }
  | { readonly kind: 'metadata' };

const fileSchema = z.looseObject({
  type: z.string(),
  client_email: z.string().optional(),
  private_key: z.string().optional(),
  private_key_id: z.string().optional(),
  client_id: z.string().optional(),
  client_secret: z.string().optional(),
  refresh_token: z.string().optional(),
  token_uri: z.url().optional(),
  quota_project_id: z.string().optional(),
  project_id: z.string().optional(),
});

export type CredentialFile = z.output<typeof fileSchema>;

/** Rejects with `google_credentials` when what is named cannot be read, or nothing is named and nothing may be looked for. */
export async function findCredentials(places: CredentialPlaces): Promise<FoundCredentials> {
  const { oauth, file, ambient, env } = places;
  if (oauth !== undefined) return { kind: 'json', json: asFile(oauth), from: 'the settings' };
  if (file !== undefined) return readCredentials(places, file);
  if (!ambient) throw noCredentials(places.location);
  const named = env['GOOGLE_APPLICATION_CREDENTIALS'];
  if (named !== undefined && named !== '') return readCredentials(places, named);
  const left = gcloudFile(places);
  const isThere =
    left !== undefined &&
    (await readFile(left).then(
      () => true,
      () => false,
    ));
  return isThere ? readCredentials(places, left) : { kind: 'metadata' };
}

export function noCredentials(location: string): HoldfastError {
  const reason = 'none were found in the settings, the environment, what gcloud keeps, or on the machine';
  const mend = 'name the JSON file of a service account with credentials_file; see docs/storage-google.md';
  return failure('google_credentials', { location, reason, mend });
}

function asFile({ clientId, clientSecret, refreshToken, tokenUrl }: OAuthGrant): CredentialFile {
  return {
    type: 'authorized_user',
    client_id: clientId,
    client_secret: clientSecret.reveal(),
    refresh_token: refreshToken.reveal(),
    ...(tokenUrl === undefined ? {} : { token_uri: tokenUrl }),
  };
}

function gcloudFile({ env, home }: CredentialPlaces): string | undefined {
  const name = 'application_default_credentials.json';
  const directory = env['CLOUDSDK_CONFIG'];
  if (directory !== undefined && directory !== '') return join(directory, name);
  return home === undefined ? undefined : join(home, '.config', 'gcloud', name);
}

async function readCredentials({ location }: CredentialPlaces, file: string): Promise<FoundCredentials> {
  const unusable = (reason: string): HoldfastError =>
    failure('google_credentials', {
      location,
      reason: `${file} ${reason}`,
      mend: 'name the JSON file that Google made for the service account; see docs/storage-google.md',
    });
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    throw unusable(`cannot be read (${reasonOf(error)})`);
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // The parser's words quote the text, which holds a private key.
    throw unusable('is not JSON');
  }
  const parsed = fileSchema.safeParse(value);
  if (!parsed.success) throw unusable('is not a file of credentials: it has no type');
  return { kind: 'json', json: parsed.data, from: file };
}
