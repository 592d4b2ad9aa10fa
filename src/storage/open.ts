import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { StorageSettings } from '../contract/config-storage.ts';
import type { Clock } from '../kernel/clock.ts';
import { failure, reasonOf } from '../kernel/errors/failure.ts';
import type { Logger } from '../kernel/log.ts';
import type { PlaceConcern } from './description.ts';
import { parseAzureLocation, type AzureLocation } from './azure/location.ts';
import { openFsStorage } from './fs/open.ts';
import { parseGdrive, parseGs, type GdriveLocation, type GsLocation } from './google-locations.ts';
import { MemoryStorage } from './memory/memory-storage.ts';
import type { Storage } from './port.ts';
import { parseS3Location, type S3Location } from './s3/location.ts';
import { parseSftpLocation, type SftpLocation } from './sftp/location.ts';

export interface OpenStorageOptions {
  /** Absolute: what a relative path is relative to. */
  readonly cwd: string;
  /** Absolute: what `~/` stands for; without it `~` is refused, as a directory of that name is never meant. */
  readonly home?: string | undefined;
  /** Make the place unless it is there. */
  readonly create: boolean;
  /** Make the bucket as well, of a storage that has such; only together with `create`. */
  readonly createBucket?: boolean | undefined;
  /** Told what people should know of the place when it is made or tried. */
  readonly notice?: ((concern: PlaceConcern) => void) | undefined;
  readonly clock: Clock;
  readonly logger?: Logger;
  /** The sections of the configuration for each kind of storage. */
  readonly settings: StorageSettings;
  /** The environment: where credentials are looked for that the settings do not name. */
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** Where a location points, without looking whether anything is there. */
export type ParsedLocation =
  | { readonly scheme: 'file'; readonly directory: string }
  | { readonly scheme: 'memory' }
  | { readonly scheme: 'sftp'; readonly place: SftpLocation }
  | AzureLocation
  | GsLocation
  | GdriveLocation
  | S3Location;

const knownSchemes = 'file://, s3://, sftp://, azure://, gs://, gdrive://, memory: (tests)';

/**
 * Opens the place a location names: a path, `file:///path`, `s3://bucket/prefix`, `sftp://user@host/path`,
 * `azure://container/prefix`, `gs://bucket/prefix`, `gdrive://folder/path`, or `memory:` (empty each time; for tests).
 *
 * Rejects with `storage_url` (does not parse, unknown scheme), `sftp_password`, and what `openFsStorage` and its like for other schemes reject with.
 */
export async function openStorage(location: string, options: OpenStorageOptions): Promise<Storage> {
  const parsed = parseLocation(location, options);
  if (parsed.scheme === 'memory') return new MemoryStorage(options.clock);
  const { create, clock, logger, settings, env } = options;
  if (parsed.scheme === 's3') {
    const { openS3Storage } = await import('./s3/open.ts');
    const { createBucket, notice } = options;
    return openS3Storage(parsed, { create, createBucket, notice, clock, settings: settings.s3, env });
  }
  if (parsed.scheme === 'sftp') {
    const { openSftpStorage } = await import('./sftp/open.ts');
    return openSftpStorage(parsed.place, { create, clock, logger, settings: settings.sftp, env });
  }
  if (parsed.scheme === 'azure') {
    const { openAzureStorage } = await import('./azure/open.ts');
    const createBucket = options.createBucket === true;
    return openAzureStorage(parsed, { create, createBucket, settings: settings.azure, env });
  }
  if (parsed.scheme === 'gdrive') {
    const { openGdriveStorage } = await import('./gdrive/open.ts');
    return openGdriveStorage(parsed, { create, clock, settings: settings.gdrive, env, home: options.home });
  }
  if (parsed.scheme === 'gs') {
    const { openGsStorage } = await import('./gs/open.ts');
    return openGsStorage(parsed, {
      create,
      createBucket: options.createBucket === true,
      clock,
      settings: settings.gs,
      env,
      home: options.home,
    });
  }
  return openFsStorage(parsed.directory, { create, clock, ...(logger === undefined ? {} : { logger }) });
}

/** Throws `storage_url` or `sftp_password`; credentials in a location are never repeated in the message. */
export function parseLocation(
  location: string,
  options: Pick<OpenStorageOptions, 'cwd' | 'home'>,
): ParsedLocation {
  const shown = withoutCredentials(location);
  if (location.trim() === '') throw failure('storage_url', { location: "''", reason: 'it is empty' });
  if (location.includes('\0'))
    throw failure('storage_url', { location: JSON.stringify(shown), reason: 'it holds a zero byte' });
  // Two letters at least, so that a drive letter is not taken for a scheme.
  const scheme = /^([a-z][a-z0-9+.-]+):/i.exec(location)?.[1]?.toLowerCase();
  if (scheme === undefined)
    return { scheme: 'file', directory: resolve(options.cwd, expandHome(location, options.home)) };
  if (scheme === 'memory') return parseMemory(location);
  if (scheme === 's3') return parseS3Location(location, shown);
  if (scheme === 'sftp') return { scheme, place: parseSftpLocation(location) };
  if (scheme === 'azure') return parseAzureLocation(location, shown);
  if (scheme === 'gdrive') return parseGdrive(location, shown);
  if (scheme === 'gs') return parseGs(location, shown);
  if (scheme === 'file') return { scheme: 'file', directory: parseFileUrl(location, shown) };
  const reason = `its scheme "${scheme}" is not known; known are a path, ${knownSchemes}`;
  throw failure('storage_url', { location: shown, reason });
}

function parseMemory(location: string): ParsedLocation {
  if (location !== 'memory:')
    throw failure('storage_url', { location, reason: 'nothing may follow memory:' });
  return { scheme: 'memory' };
}

function parseFileUrl(location: string, shown: string): string {
  let url: URL;
  try {
    url = new URL(location);
    if (!/^file:\/\//i.test(location))
      throw new Error('it needs two slashes and an absolute path: file:///path');
    if (url.search !== '' || url.hash !== '')
      throw new Error('? and # have no meaning here; write them as %3F and %23');
    return fileURLToPath(url);
  } catch (error) {
    throw failure('storage_url', { location: shown, reason: reasonOf(error) }, { cause: error });
  }
}

function expandHome(path: string, home: string | undefined): string {
  if (!path.startsWith('~')) return path;
  if (home !== undefined && (path === '~' || path.startsWith('~/'))) return join(home, path.slice(1));
  const reason =
    'only ~/ is understood here, and only where the home directory is known; write ./~ for a directory of that name';
  throw failure('storage_url', { location: path, reason });
}

/**
 * A location fit for messages: whatever stands between the scheme and the last `@` is cut, and the query with it.
 * A path is given back as it is.
 */
export function withoutCredentials(location: string): string {
  return location.replace(/^([a-z][a-z0-9+.-]+:(?:\/\/)?)(?:.*@)?([^?]*)(?:\?.*)?$/is, '$1$2');
}
