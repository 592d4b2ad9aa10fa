import type { RepairResult } from '../../app/repair.ts';
import { verify, type VerifyResult } from '../../app/verify.ts';
import type { Face } from '../face.ts';
import { plural } from '../../kernel/plural.ts';
import { recoveryWords } from '../cluster-facts.ts';
import { bytes } from '../format.ts';
import { commonOptions, number, text } from './common.ts';
import type { Handler } from './handler.ts';

export const runVerify: Handler = async (face, args, options) => {
  const wishes = {
    ...commonOptions(options),
    ids: args,
    readData: options['readData'] === true,
    subset: number(options, 'readDataSubset'),
    report: options['report'] !== false,
    acceptPlace: options['acceptPlace'] === true,
    sinceFile: text(options, 'sinceFile'),
    remember: text(options, 'remember'),
  };
  if (options['repair'] !== true)
    return await face.run(
      (context) => verify(wishes, context),
      (result) => render(face, result),
    );
  // By then: whoever only verifies needs none of it.
  const { repair, stepWords } = await import('../../app/repair.ts');
  const from = options['from'] as readonly string[] | undefined;
  const dryRun = options['dryRun'] === true;
  const emptyQuarantine = options['emptyQuarantine'] === true;
  return await face.run(
    (context) => repair({ ...wishes, from, dryRun, emptyQuarantine }, context),
    (result) => {
      renderRepair(face, result, stepWords);
      render(face, result);
    },
  );
};

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

/** What was done, or would be. What is wrong after it stands below. */
function renderRepair(
  face: Face,
  { repair }: RepairResult,
  words: (step: RepairResult['repair']['plan'][number]) => string,
): void {
  const { dry_run, plan, done, quarantine } = repair;
  if (dry_run) {
    for (const step of plan) face.product(`would ${words(step)}\n`);
    if (plan.length === 0) face.say('nothing to mend\n');
    return;
  }
  for (const step of done) {
    const aside = step.quarantined === null ? '' : `; what was there is ${step.quarantined}`;
    face.product(`${step.action === 'leave' ? 'left' : 'done'}: ${words(step)}${aside}\n`);
  }
  if (quarantine.objects === 0) return;
  const held = `${plural(quarantine.objects, 'object')} (${bytes(quarantine.bytes)})`;
  face.say(
    quarantine.emptied
      ? `the quarantine was emptied: ${held}\n`
      : `the quarantine holds ${held}; when all is well: holdfast verify --repair --empty-quarantine\n`,
  );
}
