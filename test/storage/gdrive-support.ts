import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gdriveSchema, type GdriveConfig } from '../../src/contract/config-gdrive.ts';
import { openGdriveStorage, type OpenGdriveOptions } from '../../src/storage/gdrive/open.ts';
import type { GdriveLocation } from '../../src/storage/google-locations.ts';
import type { Storage } from '../../src/storage/port.ts';
import { DriveServer } from '../../testing/drive-server.ts';
import { temporaryDirectory, TestClock } from './support.ts';

export interface DrivePlace extends AsyncDisposable {
  readonly server: DriveServer;
  readonly settings: GdriveConfig;
  readonly open: (
    changes?: Partial<OpenGdriveOptions>,
    location?: Partial<GdriveLocation>,
  ) => Promise<Storage>;
  readonly remove: () => Promise<void>;
}

/** A server of its own with an empty folder, and the file of credentials it takes. */
export async function drivePlace(settings: Readonly<Record<string, unknown>> = {}): Promise<DrivePlace> {
  const server = await DriveServer.start();
  const directory = await temporaryDirectory();
  const file = join(directory.path, 'google.json');
  await writeFile(file, server.credentialsText);
  const parsed = gdriveSchema.parse({ credentials_file: file, endpoint: server.url, ...settings });
  const open: DrivePlace['open'] = (changes = {}, location = {}) =>
    openGdriveStorage(
      { scheme: 'gdrive', root: 'backups-folder', folders: [], ...location },
      { create: false, settings: parsed, clock: new TestClock(), env: {}, ...changes },
    );
  const remove = async (): Promise<void> => {
    await server[Symbol.asyncDispose]();
    await directory.remove();
  };
  return { server, settings: parsed, open, remove, [Symbol.asyncDispose]: remove };
}
