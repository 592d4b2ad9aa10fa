// Shows how far a backup is, writes its log, and gives up after so many seconds.
//
//   HOLDFAST_PASSPHRASE=… node examples/progress-and-abort.ts ./uploads ./backups 60
import { createBackup, initRepository, isHoldfastError, type ProgressEvent } from 'holdfast';

const [directory = './uploads', repository = './backups', seconds = '60'] = process.argv.slice(2);

await initRepository({ repository });
try {
  await createBackup({
    repository,
    source: { name: 'uploads', type: 'files', paths: [directory] },
    // Any signal will do: that of a request whose client may leave, or of a service that is being stopped.
    signal: AbortSignal.timeout(Number(seconds) * 1000),
    onProgress: show,
    onLog: ({ level, message }) => console.error(`${level}: ${message}`),
    logLevel: 'info',
  });
} catch (error) {
  // Nothing of the backup is visible to anyone. What was stored is found again by the next one.
  if (!isHoldfastError(error, 'interrupted')) throw error;
  console.log(`given up: ${error.message}`);
}

function show(event: ProgressEvent): void {
  switch (event.type) {
    case 'phase':
      console.log(`${event.task}: ${event.phase}`);
      break;
    case 'progress':
      console.log(`${event.task}: ${event.bytes_done} of ${event.bytes_total ?? '?'} bytes`);
      break;
    case 'notice':
      console.log(`${event.level}: ${event.message}`);
      break;
    case 'backup':
      console.log(`done: backup ${event.backup.id.slice(0, 8)}`);
      break;
    case 'error':
    case 'plan':
      break;
  }
}
