import { prune } from '../../app/prune.ts';
import { plural } from '../../kernel/plural.ts';
import type { PruneReport } from '../../operations/prune/report.ts';
import type { Face } from '../face.ts';
import { bytes, instant } from '../format.ts';
import { commonOptions, number } from './common.ts';
import type { Handler } from './handler.ts';

export const runPrune: Handler = (face, _args, options) =>
  face.run(
    (context) =>
      prune(
        {
          ...commonOptions(options),
          graceMs: number(options, 'grace'),
          maxUnused: number(options, 'maxUnused'),
          dryRun: options['dryRun'] === true,
        },
        context,
      ),
    (result) => renderPrune(face, result),
  );

/** What was removed, marked and still waits. */
export function renderPrune(face: Face, result: PruneReport): void {
  const { removed, marked, repacked, waiting, before, wal_removed: wal, wal_marked: walMarked } = result;
  const { emptied_trash: trash } = result;
  const would = result.dry_run ? 'would be ' : '';
  const lines = [
    `${bytes(before.bytes)} in ${plural(before.packs, 'pack')}, needed by ${plural(result.backups, 'backup')}; ${bytes(result.unused_bytes)} of them unused`,
    `${would}removed: ${bytes(removed.bytes)} in ${plural(removed.packs, 'pack')}`,
    ...(wal.objects === 0
      ? []
      : [`${would}removed: ${bytes(wal.bytes)} of WAL in ${plural(wal.objects, 'object')}`]),
    ...(repacked.packs === 0
      ? []
      : [`${would}taken apart: ${plural(repacked.packs, 'pack')} that held little that is needed`]),
    `${would}marked: ${bytes(marked.bytes)} in ${plural(marked.packs, 'pack')}, for a later prune to remove`,
    ...(walMarked.objects === 0
      ? []
      : [`${would}marked: ${bytes(walMarked.bytes)} of WAL in ${plural(walMarked.objects, 'object')}`]),
    ...(trash.length === 0
      ? []
      : [
          `${would}gone for good: ${plural(trash.length, 'forgotten backup')}, which could not be brought back any more: ${trash
            .map((id) => id.slice(0, 8))
            .join(', ')}`,
        ]),
    ...waiting.map(
      (one) =>
        `waiting: ${bytes(one.bytes)} in ${plural(one.packs, 'pack')}, marked ${instant(one.marked_at)}, to be removed from ${instant(one.removable_at)} on`,
    ),
  ];
  for (const line of lines) face.product(`${line}\n`);
  if (result.locked_objects > 0)
    face.say(
      `${plural(result.locked_objects, 'object')} that nobody needs stay while the storage has them locked\n`,
    );
  if (!result.dry_run && marked.packs > 0)
    face.say('run holdfast prune again when that time has come, or let cron do it every day\n');
}
