import { readFile } from 'node:fs/promises';
import { s3Schema, type S3Config } from '../../contract/config-s3.ts';
import { settingRegistry } from '../../contract/config-setting.ts';
import { failure, reasonOf } from '../../kernel/errors/failure.ts';
import { showS3Location, type S3Location } from './location.ts';

export type S3Environment = Readonly<Record<string, string | undefined>>;

export interface S3Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

/** Everything that is to be known before the first request. */
export interface S3Place {
  /** For people: `s3://bucket/prefix`. */
  readonly location: string;
  readonly bucket: string;
  readonly prefix: string;
  readonly settings: S3Config;
  /** Undefined: that of AWS in the region. */
  readonly endpoint: string | undefined;
  /** Undefined: what the AWS SDK finds. */
  readonly region: string | undefined;
  readonly isPathStyle: boolean;
  /** The service is AWS, as far as its address tells. */
  readonly isAws: boolean;
  /** Undefined: what the AWS SDK finds. */
  readonly credentials: S3Credentials | undefined;
  readonly profile: string | undefined;
  /** PEM, to be trusted beside the usual ones. */
  readonly ca: string | undefined;
  readonly env: S3Environment;
}

/** Lays location, settings and environment over one another. Throws `storage_url`, `s3_setting`. */
export async function resolveS3Place(
  where: S3Location,
  configured: S3Config,
  env: S3Environment,
): Promise<S3Place> {
  const location = showS3Location(where);
  const settings = withOverrides(configured, where.overrides, location);
  if (settings.kms_key_id !== undefined && settings.encryption !== 'sse-kms')
    throw failure('s3_setting', {
      location,
      reason: `s3.kms_key_id is set, and s3.encryption is ${settings.encryption}`,
      mend: 'set s3.encryption to sse-kms, or leave s3.kms_key_id out',
    });
  const given =
    settings.endpoint ?? nonEmpty(env['AWS_ENDPOINT_URL_S3']) ?? nonEmpty(env['AWS_ENDPOINT_URL']);
  const endpoint = given === undefined || /^https?:\/\//i.test(given) ? given : `https://${given}`;
  const host = endpoint === undefined ? undefined : hostOf(endpoint, location);
  const isAws = host === undefined || /\.amazonaws\.com(?:\.cn)?$/.test(host);
  const caFile = settings.ca_file ?? nonEmpty(env['AWS_CA_BUNDLE']);
  const credentials = await findCredentials(settings, env, location);
  return {
    location,
    bucket: where.bucket,
    prefix: where.prefix,
    settings,
    endpoint,
    region:
      settings.region ??
      nonEmpty(env['AWS_REGION']) ??
      nonEmpty(env['AWS_DEFAULT_REGION']) ??
      (host === undefined ? undefined : (regionOf(host) ?? (isAws ? undefined : 'us-east-1'))),
    isPathStyle: settings.path_style === 'auto' ? !isAws : settings.path_style,
    isAws,
    credentials,
    profile: settings.profile ?? (credentials === undefined ? nonEmpty(env['AWS_PROFILE']) : undefined),
    ca: caFile === undefined ? undefined : await readSetting('ca_file', caFile, location),
    env,
  };
}

/** Who asks for a region of its own tells it in the name of its host, most often. */
function regionOf(host: string): string | undefined {
  if (host.endsWith('.r2.cloudflarestorage.com')) return 'auto';
  return /^s3[.-](?:dualstack\.)?([a-z]{2}(?:-[a-z]+)+-\d+)\./.exec(host)?.[1];
}

/** Settings that stand in the location itself hold for it alone. Secrets may not. */
function withOverrides(
  configured: S3Config,
  overrides: Readonly<Record<string, string>>,
  location: string,
): S3Config {
  const read: Record<string, unknown> = {};
  for (const [key, text] of Object.entries(overrides)) {
    const schema = Object.hasOwn(s3Schema.shape, key) ? s3Schema.shape[key as keyof S3Config] : undefined;
    if (schema === undefined) throw wrongOverride(location, `there is no setting s3.${key}`);
    if (settingRegistry.get(schema)?.secret !== undefined)
      throw wrongOverride(location, `${key} is a secret and does not belong into it`);
    const value = /^(?:true|false)$/.test(text) ? text === 'true' : /^\d+$/.test(text) ? Number(text) : text;
    const parsed = schema.safeParse(value);
    if (!parsed.success) throw wrongOverride(location, `${key} ${parsed.error.issues[0]?.message ?? ''}`);
    read[key] = parsed.data;
  }
  return { ...configured, ...read };
}

function wrongOverride(location: string, reason: string): Error {
  return failure('storage_url', { location, reason });
}

function hostOf(endpoint: string, location: string): string {
  const url = URL.parse(endpoint);
  if (url === null)
    throw failure('s3_setting', {
      location,
      reason: 'the endpoint is no URL',
      mend: 'give it as https://host',
    });
  return url.hostname;
}

/** A key of the settings with its secret, else one of the environment; never half of each. */
async function findCredentials(
  settings: S3Config,
  env: S3Environment,
  location: string,
): Promise<S3Credentials | undefined> {
  const { access_key_id: id, secret_access_key: secret, secret_access_key_file: file } = settings;
  if (id !== undefined || secret !== undefined || file !== undefined) {
    const value = secret?.reveal() ?? (file === undefined ? undefined : await readSecret(file, location));
    if (id === undefined || value === undefined) {
      const [given, missing] =
        id === undefined ? ['the secret', 's3.access_key_id'] : ['s3.access_key_id', 's3.secret_access_key'];
      const reason = `${given} of an access key is set, and ${missing} is not`;
      throw failure('s3_setting', { location, reason, mend: `set ${missing}, or neither of them` });
    }
    const token = settings.session_token?.reveal();
    return {
      accessKeyId: id,
      secretAccessKey: value,
      ...(token === undefined ? {} : { sessionToken: token }),
    };
  }
  const [keyId, key] = [nonEmpty(env['AWS_ACCESS_KEY_ID']), nonEmpty(env['AWS_SECRET_ACCESS_KEY'])];
  if (settings.profile !== undefined || keyId === undefined || key === undefined) return undefined;
  const token = nonEmpty(env['AWS_SESSION_TOKEN']);
  return {
    accessKeyId: keyId,
    secretAccessKey: key,
    ...(token === undefined ? {} : { sessionToken: token }),
  };
}

async function readSecret(file: string, location: string): Promise<string> {
  const [line = ''] = (await readSetting('secret_access_key_file', file, location)).split(/\r?\n/, 1);
  if (line.trim() !== '') return line.trim();
  throw failure('s3_setting', {
    location,
    reason: `${file} is empty`,
    mend: 'put the secret into its first line',
  });
}

async function readSetting(setting: string, file: string, location: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    const reason = `s3.${setting} cannot be read: ${reasonOf(error)}`;
    throw failure('s3_setting', { location, reason, mend: 'check its path and rights' }, { cause: error });
  }
}

function nonEmpty(text: string | undefined): string | undefined {
  return text === '' ? undefined : text;
}
