import { sync, type SyncResult } from '../../app/sync.ts';
import { plural } from '../../kernel/plural.ts';
import type { Face } from '../face.ts';
import { bytes } from '../format.ts';
import { commonOptions } from './common.ts';
import type { Handler } from './handler.ts';

export const runSync: Handler = (face, _args, options) =>
  face.run(
    (context) =>
      sync(
        {
          ...commonOptions(options),
          to: options['to'] as readonly string[] | undefined,
          anew: options['anew'] as boolean | undefined,
        },
        context,
      ),
    (result) => renderCopies(face, result.copies),
  );

/** A line for each copy. */
export function renderCopies(face: Face, copies: SyncResult['copies']): void {
  for (const { name, ok, report, error } of copies) {
    if (report === undefined) {
      const message = error?.['message'];
      face.product(`${name}: not up to date: ${typeof message === 'string' ? message : ''}\n`);
      continue;
    }
    const { copied, present, forgotten, only_there: only, packs, wal, others } = report;
    const total = packs.bytes + wal.bytes + others.bytes;
    const state = ok ? 'up to date' : 'not up to date';
    const kept = forgotten === 0 ? '' : `, ${forgotten} forgotten there`;
    const more = only.length === 0 ? '' : `, ${only.length} only there`;
    face.product(
      `${name}: ${state}; ${plural(copied.length, 'backup')} copied, ${present} there before${kept}${more}; ${bytes(total)} in ${plural(packs.objects + wal.objects + others.objects, 'object')}\n`,
    );
  }
}
