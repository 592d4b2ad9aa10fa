// Backs up the database of DATABASE_URL, proves the backup, and restores it under another name.
//
//   DATABASE_URL=postgres://… HOLDFAST_PASSPHRASE=… node examples/backup-postgres.ts ./backups shop_copy
import { createBackup, initRepository, restoreBackup, verifyBackup } from 'holdfast';

const [repository = './backups', copy = 'copy'] = process.argv.slice(2);
const url = process.env['DATABASE_URL'];
if (url === undefined) throw new Error('set DATABASE_URL');

await initRepository({ repository });
const { backups } = await createBackup({ repository, source: { name: 'main', type: 'postgres', url } });
const [backup] = backups;
if (backup === undefined) throw new Error('createBackup rejects when it makes no backup');

// Reads every byte of it back and checks it.
const { ok, problems } = await verifyBackup({ repository, id: backup.id, readData: true });
if (!ok) throw new Error(`damaged: ${problems.map(({ message }) => message).join('; ')}`);

const target = new URL(url);
target.pathname = `/${copy}`;
const { restored } = await restoreBackup({ repository, id: backup.id, to: target.href });
if (restored !== null && 'rows' in restored)
  console.log(`restored ${restored.tables} tables with ${restored.rows} rows as ${restored.database}`);
