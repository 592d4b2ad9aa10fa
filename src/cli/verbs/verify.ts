import { verify, type VerifyResult } from '../../app/verify.ts';
import type { Face } from '../face.ts';
import { plural } from '../../kernel/plural.ts';
import { recoveryWords } from '../cluster-facts.ts';
import { bytes } from '../format.ts';
import { commonOptions, number } from './common.ts';
import type { Handler } from './handler.ts';

export const runVerify: Handler = (face, args, options) =>
  face.run(
    (context) =>
      verify(
        {
          ...commonOptions(options),
          ids: args,
          readData: options['readData'] === true,
          subset: number(options, 'readDataSubset'),
        },
        context,
      ),
    (result) => render(face, result),
  );

function render(face: Face, result: VerifyResult): void {
  const checked = `${plural(result.backups_checked, 'backup')}, ${plural(result.objects_checked, 'object')}, ${plural(result.blobs_checked, 'chunk')} checked`;
  const read =
    result.level === 'structure'
      ? 'structure only; --read-data reads every byte'
      : `${plural(result.blobs_read, 'chunk')}, ${bytes(result.bytes_read)} read`;
  for (const problem of result.problems) {
    face.product(`${problem.code} ${problem.object}: ${problem.message}\n`);
    const needed = problem.backups.map((id) => id.slice(0, 8)).join(', ');
    if (needed !== '') face.product(`  needed by: ${needed}\n`);
    for (const entry of problem.entries) face.product(`  entry: ${entry}\n`);
  }
  for (const one of result.recovery)
    face.product(`backup ${one.backup.slice(0, 8)} of ${one.source} recovers ${recoveryWords(one)}\n`);
  for (const note of result.notes) face.say(`note: ${note}\n`);
  face.say(
    `${result.ok ? 'all is well' : plural(result.problems.length, 'problem')}: ${checked} (${read})\n`,
  );
}
