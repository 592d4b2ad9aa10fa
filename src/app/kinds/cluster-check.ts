import { readRepositoryInfo } from '../../repository/info.ts';
import { checkCluster } from '../../sources/postgres-cluster/check/check.ts';
import type { Finding } from '../../sources/port.ts';
import { openPlace, passphraseContext, type App } from '../compose.ts';
import { findPassphrase } from '../passphrase.ts';
import { serverCommands, type ServerCommands } from '../wal/server-commands.ts';
import { slotOf } from '../wal/slot.ts';
import type { ConfigOf } from './kind.ts';
import { connectionOf } from './postgres-source.ts';

/** Looks at a cluster whether it could be backed up, and its WAL kept. */
export async function checkClusterSource(
  app: App,
  name: string,
  config: ConfigOf<'postgres-cluster'>,
): Promise<readonly Finding[]> {
  const connection = await connectionOf(name, config, app.env);
  if (connection.password !== undefined) app.secrets.push(connection.password);
  const options = {
    connection,
    dataDirectory: config.data_directory,
    slot: slotOf(name, config),
    walWaitingLimitBytes: config.wal_waiting_limit,
    commands: await commandsFor(app, name),
    now: () => app.machine.clock.now(),
  };
  return await checkCluster(options, app.signal);
}

/** What the server would archive with. A repository that cannot be looked at is told of where that is checked. */
async function commandsFor(app: App, name: string): Promise<ServerCommands> {
  try {
    const storage = await openPlace(app, { create: false });
    try {
      const info = await readRepositoryInfo(storage);
      // The passphrase as calls of the server would find it: nobody is asked, and no command is run to find it.
      const isFound = info?.encrypted === true && app.config.encryption.passphrase_command === undefined;
      const context = { ...passphraseContext(app), asker: null };
      const found = isFound ? await findPassphrase(info.id, storage.location, context) : undefined;
      return serverCommands(app, name, storage.location, found);
    } finally {
      await storage.close();
    }
  } catch {
    app.signal.throwIfAborted();
    return serverCommands(app, name, app.config.repository, undefined);
  }
}
