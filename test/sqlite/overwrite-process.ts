import { overwriteDatabase } from '../../src/sources/sqlite/restore/overwrite-task.ts';

// Overwrites a database; to be killed meanwhile.
const [, , file = '', from = '', kept = ''] = process.argv;
process.stdout.write('begins\n');
const { signal } = new AbortController();
const { result } = await overwriteDatabase({ file, from, kept, waitMs: 1000 }, { signal });
process.stdout.write(`${result}\n`);
