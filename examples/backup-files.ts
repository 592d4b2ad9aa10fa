// Backs up a directory, shows what is in the repository, and restores it beside the original.
//
//   HOLDFAST_PASSPHRASE=… node examples/backup-files.ts ./uploads ./backups ./restored
import { createBackup, initRepository, isHoldfastError, listBackups, restoreBackup } from 'holdfast';

const [directory = './uploads', repository = './backups', to = './restored'] = process.argv.slice(2);

try {
  // Makes the repository, or finds that it is there. The passphrase comes from HOLDFAST_PASSPHRASE.
  const { created, recovery_kit: kit } = await initRepository({ repository });
  if (created) console.log(`a new repository; keep ${kit} away from this machine`);

  const { backups } = await createBackup({
    repository,
    source: { name: 'uploads', type: 'files', paths: [directory], exclude: ['*.tmp'] },
    tags: { example: 'backup-files' },
  });
  for (const { id, bytes_read: read, bytes_added: added } of backups)
    console.log(`backup ${id.slice(0, 8)}: ${read} bytes read, ${added} stored`);

  const list = await listBackups({ repository, source: 'uploads' });
  console.log(`${list.backups.length} backups of uploads`);

  const { restored } = await restoreBackup({ repository, id: 'latest:uploads', to });
  if (restored !== null && 'files' in restored)
    console.log(
      `restored ${restored.files} files to ${restored.target}, ${restored.checked} compared and equal`,
    );
} catch (error) {
  if (!isHoldfastError(error)) throw error;
  console.error(`${error.code}: ${error.message}\n${error.hint}`);
  process.exitCode = error.exitCode;
}
