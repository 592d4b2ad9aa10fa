import {
  generateBlobSASQueryParameters,
  ContainerSASPermissions,
  BlobServiceClient,
  StorageSharedKeyCredential,
} from '@azure/storage-blob';
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';

/** Azurite's blob service on loopback, with everything in its memory. Ended by `await using`, and with this process. */
export interface Azurite extends AsyncDisposable {
  readonly port: number;
  readonly account: string;
  readonly key: string;
  /** With the account in its path. */
  readonly endpoint: string;
  readonly connectionString: string;
  /** Another client than ours, for looking behind it. */
  readonly client: BlobServiceClient;
  /** The name of a new, empty container. */
  newContainer(): Promise<string>;
  /** A shared access signature for a container: letters of permissions, and until when it holds. */
  sasToken(container: string, permissions: string, until?: Date): string;
}

const account = 'holdfast';
/** Ends the service when its input does: when this process is gone, however. */
const endWithInput = 'data:text/javascript,process.stdin.resume().on("end",()=>process.exit())';

export async function startAzurite(): Promise<Azurite> {
  const key = randomBytes(64).toString('base64');
  const main = createRequire(import.meta.url).resolve('azurite/dist/src/blob/main.js');
  // The SDK speaks a newer version of the protocol than Azurite knows of.
  const flags = ['--blobPort', '0', '--inMemoryPersistence', '--extentMemoryLimit', '1024', '--silent'];
  const child = spawn(
    process.execPath,
    ['--import', endWithInput, main, ...flags, '--skipApiVersionCheck', '--disableTelemetry'],
    {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { PATH: process.env['PATH'], AZURITE_ACCOUNTS: `${account}:${key}` },
    },
  );
  const ended = once(child, 'exit');
  let said = '';
  child.stderr.on('data', (text: Buffer) => (said += text.toString()));
  const port = await portOf(child.stdout);
  if (port === undefined) throw new Error(`Azurite did not start: ${said}`);
  child.stdout.resume();
  // Nobody who forgets to stop it shall be kept from ending.
  child.unref();
  const endpoint = `http://127.0.0.1:${port}/${account}`;
  const credential = new StorageSharedKeyCredential(account, key);
  const client = new BlobServiceClient(endpoint, credential);
  let containers = 0;
  return {
    port,
    account,
    key,
    endpoint,
    connectionString: `DefaultEndpointsProtocol=http;AccountName=${account};AccountKey=${key};BlobEndpoint=${endpoint};`,
    client,
    newContainer: async () => {
      containers += 1;
      const name = `container-${containers}`;
      await client.createContainer(name);
      return name;
    },
    sasToken: (containerName, letters, until = new Date(Date.now() + 3_600_000)) => {
      const permissions = ContainerSASPermissions.parse(letters);
      return generateBlobSASQueryParameters(
        { containerName, permissions, expiresOn: until },
        credential,
      ).toString();
    },
    [Symbol.asyncDispose]: async () => {
      child.stdin.end();
      await ended;
    },
  };
}

async function portOf(output: NodeJS.ReadableStream): Promise<number | undefined> {
  const lines = createInterface({ input: output });
  for await (const line of lines) {
    const found = /successfully listens on http:\/\/[^:]+:(\d+)/.exec(line)?.[1];
    if (found === undefined) continue;
    lines.close();
    return Number(found);
  }
  return undefined;
}
