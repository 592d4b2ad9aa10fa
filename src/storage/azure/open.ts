import type { AzureConfig } from '../../contract/config-azure.ts';
import { failure, isFailure } from '../../kernel/errors/failure.ts';
import { HttpClient } from '../http-client.ts';
import { AzureStorage } from './azure-storage.ts';
import { connect } from './connect.ts';
import { serviceCodeOf } from './errors.ts';
import type { AzureLocation } from './location.ts';
import { AzurePlace } from './place.ts';

export interface OpenAzureOptions {
  /** Look whether the container is there and can be used for a repository. */
  readonly create: boolean;
  /** Make the container when it is not there; only together with `create`. */
  readonly createBucket?: boolean;
  readonly settings: AzureConfig;
  /** Where credentials and proxies are looked for. */
  readonly env: Readonly<Record<string, string | undefined>>;
}

/**
 * Opens a folder of a container. Nothing is asked of the service unless `create` is set: the first call meets what is
 * wrong.
 *
 * Rejects with `azure_setting`, `azure_no_container`, `azure_login`, `storage_layout` (an account with folders of its
 * own), `storage_denied`, `storage_unreachable`, `storage_failed`.
 */
export async function openAzureStorage(
  { container, prefix }: AzureLocation,
  options: OpenAzureOptions,
): Promise<AzureStorage> {
  const { settings, env } = options;
  const location = `azure://${container}/${prefix}`.replace(/\/$/, '');
  const { connect_timeout: connectTimeoutMs, timeout: timeoutMs } = settings;
  const http = new HttpClient({ env, connectTimeoutMs, timeoutMs });
  const service = await connect({ location, settings, env, http });
  const place = new AzurePlace({
    location,
    account: service.accountName,
    container: service.getContainerClient(container),
    prefix,
    settings,
  });
  try {
    if (options.create) await prove(place, options.createBucket === true);
    return new AzureStorage(place, http);
  } catch (error) {
    http.close();
    throw error;
  }
}

/** Before hours of work, not after. */
async function prove(place: AzurePlace, mayCreate: boolean): Promise<void> {
  try {
    await listOne(place);
  } catch (error) {
    if (!mayCreate || !isFailure(error, 'azure_no_container')) throw error;
    await createContainer(place);
  }
  await refuseFolders(place);
}

async function listOne(place: AzurePlace): Promise<void> {
  const call = { operation: 'ListBlobs', action: 'list', name: 'objects', permission: 'l' } as const;
  await place.ask({ ...call, signal: undefined }, () =>
    place.container.listBlobsFlat({ prefix: place.prefix }).byPage({ maxPageSize: 1 }).next(),
  );
}

/** Nobody reads it without credentials: that is the default of the service, and what is asked for. */
async function createContainer(place: AzurePlace): Promise<void> {
  const call = {
    operation: 'CreateContainer',
    action: 'create',
    name: 'the container',
    permission: 'c',
  } as const;
  try {
    await place.ask({ ...call, signal: undefined }, () => place.container.create());
  } catch (error) {
    if (serviceCodeOf(error) !== 'ContainerAlreadyExists') throw error;
  }
}

/** In an account with a hierarchical namespace names are listed in another order, and folders among them. */
async function refuseFolders(place: AzurePlace): Promise<void> {
  const call = {
    operation: 'GetAccountInfo',
    action: 'look at',
    name: 'the account',
    permission: 'r',
  } as const;
  let hasFolders: boolean | undefined;
  try {
    const info = await place.ask({ ...call, signal: undefined }, () => place.container.getAccountInfo());
    hasFolders = info.isHierarchicalNamespaceEnabled;
  } catch (error) {
    // Not everybody may ask; the order of listings is watched in any case.
    if (!isFailure(error, 'storage_denied') && !isFailure(error, 'azure_refused')) throw error;
  }
  if (hasFolders !== true) return;
  throw failure('storage_layout', {
    location: place.location,
    reason:
      'its storage account has a hierarchical namespace (Data Lake Storage), which lists names in another order',
    mend: 'take a storage account without one',
  });
}
