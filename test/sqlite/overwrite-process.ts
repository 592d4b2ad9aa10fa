import { overwriteDatabase } from '../../src/sources/sqlite/restore/overwrite-task.ts';

// Overwrites a database; to be killed meanwhile.
const [, , file = '', from = '', kept = ''] = process.argv;
process.stdout.write('begins\n');
const { signal } = new AbortController();
const outcome = await overwriteDatabase({ file, from, kept, waitMs: 1000 }, { signal });
const failed =
  outcome.result === 'failed' ? ` ${outcome.code} ${outcome.isChanged ? 'changed' : 'unchanged'}` : '';
process.stdout.write(`${outcome.result}${failed}\n`);
