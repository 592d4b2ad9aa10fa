import type { BlockBlobClient, ContainerClient } from '@azure/storage-blob';
import type { AzureConfig } from '../../contract/config-azure.ts';
import { RequestCounter, type RequestCount } from '../requests.ts';
import { azureFailure, type AzureDeed } from './errors.ts';

export interface AzurePlaceParts {
  readonly location: string;
  readonly account: string;
  readonly container: ContainerClient;
  /** '' or `folder/…/`. */
  readonly prefix: string;
  readonly settings: AzureConfig;
}

/** What one request is about. */
export interface AzureCall extends Pick<AzureDeed, 'action' | 'name' | 'permission'> {
  /** The service's own name of the operation, `PutBlob` say. */
  readonly operation: string;
  readonly sentBytes?: number;
  readonly signal: AbortSignal | undefined;
}

/** A folder of a container, where objects of the port lie one to one. */
export class AzurePlace {
  readonly location: string;
  readonly container: ContainerClient;
  readonly prefix: string;
  readonly settings: AzureConfig;
  readonly requests = new RequestCounter();
  readonly #account: string;

  constructor({ location, account, container, prefix, settings }: AzurePlaceParts) {
    this.location = location;
    this.container = container;
    this.prefix = prefix;
    this.settings = settings;
    this.#account = account;
  }

  blob(name: string): BlockBlobClient {
    return this.container.getBlockBlobClient(this.prefix + name);
  }

  /** Sends one request and counts it. Rejects with coded errors, or with the signal's own reason. */
  async ask<T>(call: AzureCall, send: (count: RequestCount) => Promise<T>): Promise<T> {
    const { signal, action, name, permission } = call;
    signal?.throwIfAborted();
    const count = this.requests.of(call.operation);
    count.requests += 1;
    count.sentBytes += call.sentBytes ?? 0;
    try {
      return await send(count);
    } catch (error) {
      count.failed += 1;
      signal?.throwIfAborted();
      const { location } = this;
      const deed = { action, name, permission, location, account: this.#account };
      throw azureFailure(error, { ...deed, container: this.container.containerName });
    }
  }
}
