import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gsSchema, type GsConfig } from '../../src/contract/config-gs.ts';
import { openGsStorage, type OpenGsOptions } from '../../src/storage/gs/open.ts';
import type { Storage } from '../../src/storage/port.ts';
import { GcsServer } from '../../testing/gcs-server.ts';
import { temporaryDirectory, TestClock } from './support.ts';

export interface GsPlace extends AsyncDisposable {
  readonly server: GcsServer;
  readonly settings: GsConfig;
  readonly open: (changes?: Partial<OpenGsOptions>, prefix?: string) => Promise<Storage>;
  readonly remove: () => Promise<void>;
}

/** A server of its own with an empty bucket, and the file of credentials it takes. */
export async function gsPlace(settings: Readonly<Record<string, unknown>> = {}): Promise<GsPlace> {
  const server = await GcsServer.start();
  const directory = await temporaryDirectory();
  const file = join(directory.path, 'google.json');
  await writeFile(file, server.credentialsText);
  const parsed = gsSchema.parse({ credentials_file: file, endpoint: server.url, ...settings });
  const open = (changes: Partial<OpenGsOptions> = {}, prefix = 'backups/eu/'): Promise<Storage> =>
    openGsStorage(
      { scheme: 'gs', bucket: 'shop', prefix },
      { create: false, settings: parsed, clock: new TestClock(), env: {}, ...changes },
    );
  const remove = async (): Promise<void> => {
    await server[Symbol.asyncDispose]();
    await directory.remove();
  };
  return { server, settings: parsed, open, remove, [Symbol.asyncDispose]: remove };
}
