import {
  AnonymousCredential,
  BlobServiceClient,
  newPipeline,
  StorageSharedKeyCredential,
} from '@azure/storage-blob';
import { readFile } from 'node:fs/promises';
import type { AzureConfig } from '../../contract/config-azure.ts';
import { failure, reasonOf } from '../../kernel/errors/failure.ts';
import { Secret } from '../../kernel/secret.ts';
import type { HttpClient } from '../http-client.ts';
import { AzureHttp } from './http.ts';

export interface ConnectOptions {
  readonly location: string;
  readonly settings: AzureConfig;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly http: HttpClient;
}

/**
 * A client of the account's blob service. Nothing is sent. Credentials of the settings count before those of the
 * environment, a connection string before the rest. Throws `azure_setting` when they do not suffice.
 */
export async function connect(options: ConnectOptions): Promise<BlobServiceClient> {
  const { settings, env, location } = options;
  // Retries are the business of whoever wraps the storage.
  const pipeline = { httpClient: new AzureHttp(options.http), retryOptions: { maxTries: 1 } };
  const found = await credentialsFrom(options);
  if ('connectionString' in found) {
    try {
      return BlobServiceClient.fromConnectionString(found.connectionString.reveal(), pipeline);
    } catch (error) {
      // Its words may repeat what it could not read.
      const reason = `the connection string cannot be read (${error instanceof Error ? error.name : 'error'})`;
      throw wrongSetting(
        location,
        reason,
        'copy it whole from the account’s page "Access keys" in the portal',
      );
    }
  }
  const account = settings.account ?? nonEmpty(env['AZURE_STORAGE_ACCOUNT']);
  if (account === undefined && settings.endpoint === undefined) throw noAccount(location);
  const url = settings.endpoint ?? `https://${account}.blob.core.windows.net`;
  if ('sas' in found) {
    const token = found.sas.reveal().replace(/^\?/, '');
    return new BlobServiceClient(`${url}?${token}`, newPipeline(new AnonymousCredential(), pipeline));
  }
  if (account === undefined) throw noAccount(location);
  try {
    const credential = new StorageSharedKeyCredential(account, found.key.reveal());
    return new BlobServiceClient(url, newPipeline(credential, pipeline));
  } catch (error) {
    throw wrongSetting(
      location,
      reasonOf(error),
      'check azure.account, azure.account_key and azure.endpoint',
    );
  }
}

type Credentials =
  | { readonly connectionString: Secret }
  | { readonly key: Secret }
  | { readonly sas: Secret };

async function credentialsFrom({ settings, env, location }: ConnectOptions): Promise<Credentials> {
  const given = async (
    name: 'connection_string' | 'account_key' | 'sas_token',
  ): Promise<Secret | undefined> => {
    const file = settings[`${name}_file`];
    return settings[name] ?? (file === undefined ? undefined : await firstLine(file, name, location));
  };
  const key = await given('account_key');
  if (key !== undefined) return { key };
  const sas = await given('sas_token');
  if (sas !== undefined) return { sas };
  const connectionString = await given('connection_string');
  if (connectionString !== undefined) return { connectionString };
  return credentialsOfEnvironment(env, location);
}

function credentialsOfEnvironment(env: ConnectOptions['env'], location: string): Credentials {
  const read = (name: string): Secret | undefined => {
    const value = nonEmpty(env[name]);
    return value === undefined ? undefined : new Secret(value);
  };
  const connectionString = read('AZURE_STORAGE_CONNECTION_STRING');
  if (connectionString !== undefined) return { connectionString };
  const key = read('AZURE_STORAGE_KEY');
  if (key !== undefined) return { key };
  const sas = read('AZURE_STORAGE_SAS_TOKEN');
  if (sas !== undefined) return { sas };
  throw wrongSetting(
    location,
    'there are no credentials',
    'set AZURE_STORAGE_ACCOUNT and AZURE_STORAGE_KEY (or AZURE_STORAGE_SAS_TOKEN), or AZURE_STORAGE_CONNECTION_STRING; or azure.account and azure.account_key_file',
  );
}

async function firstLine(path: string, name: string, location: string): Promise<Secret> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    const reason = `azure.${name}_file: ${reasonOf(error)}`;
    throw wrongSetting(location, reason, 'let it name a file that can be read');
  }
  const [line = ''] = text.split(/\r?\n/, 1);
  if (line === '')
    throw wrongSetting(location, `azure.${name}_file: ${path} is empty`, 'put it into its first line');
  return new Secret(line);
}

function noAccount(location: string): Error {
  return wrongSetting(location, 'no storage account is named', 'set azure.account or AZURE_STORAGE_ACCOUNT');
}

function wrongSetting(location: string, reason: string, mend: string): Error {
  return failure('azure_setting', { location, reason, mend });
}

function nonEmpty(text: string | undefined): string | undefined {
  return text === '' ? undefined : text;
}
