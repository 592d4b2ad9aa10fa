// Lists what is in the newest backup, or writes one file of it to standard output, without restoring anything.
//
//   HOLDFAST_PASSPHRASE=… node examples/read-one-file.ts ./backups [PATH]
import { pipeline } from 'node:stream/promises';
import { openRepository } from 'holdfast';

const [location = './backups', path] = process.argv.slice(2);

// Closed at the end of the block, whatever happens in it.
await using repository = await openRepository({ repository: location });

if (path === undefined) {
  for await (const entry of repository.entries('latest')) console.log(`${entry.bytes}\t${entry.path}`);
} else {
  // Streamed: a file of any size goes through little memory.
  await pipeline(repository.read('latest', path), process.stdout, { end: false });
}
