import { asFailure } from '../../src/kernel/errors/failure.ts';
import { planClusterRestore } from '../../src/sources/postgres-cluster/restore/restore.ts';
import { MemoryBackup } from '../../testing/memory-backup.ts';
import { madeUpMetadata, put, putMadeUp, wishOf } from './restore-kit.ts';

/** Plans a restore of a tablespace: `node plan-process.ts TARGET LOCATION`, by whoever runs it. */
const [target = '', location = ''] = process.argv.slice(2);
const memory = new MemoryBackup();
const context = memory.backupContext();
await put(context, 'pg_tblspc/16400/PG_15_202209061/5/1', 'pg.relation', Buffer.from('one'));
await putMadeUp(context);
const metadata = { ...madeUpMetadata, tablespaces: [{ oid: 16_400, path: '/nowhere/else', size: 1 }] };
const wish = wishOf({ target, owner: null, tablespaces: { '16400': location } });
try {
  await planClusterRestore(wish, memory.restoreContext(metadata));
  process.stdout.write('planned\n');
} catch (error) {
  const { code, message } = asFailure(error);
  process.stdout.write(`${code} ${message}\n`);
}
