import { forget, type ForgetResult, type NamedBackup } from '../../app/forget.ts';
import type { Face } from '../face.ts';
import { instant } from '../format.ts';
import { commonOptions } from './common.ts';
import type { Handler } from './handler.ts';

export const runForget: Handler = (face, ids, options) =>
  face.run(
    (context) =>
      forget(
        {
          ...commonOptions(options),
          ids,
          undo: options['undo'] === true,
          force: options['force'] === true,
          dryRun: options['dryRun'] === true,
          yes: options['yes'] === true,
        },
        context,
      ),
    (result) => render(face, result),
  );

function render(face: Face, { forgotten, brought_back: back, dry_run: dryRun }: ForgetResult): void {
  for (const backup of forgotten)
    face.say(`${nameOf(backup)} ${dryRun ? 'would be forgotten' : 'is forgotten'}\n`);
  for (const backup of back)
    face.say(`${nameOf(backup)} ${dryRun ? 'can be brought back' : 'is there again'}\n`);
  if (dryRun || forgotten.length === 0) return;
  const ids = forgotten.slice(0, 3).map(({ id }) => id.slice(0, 8));
  face.say(
    `holdfast prune gives the space back; until then this brings ${forgotten.length === 1 ? 'it' : 'them'} back: holdfast forget --undo ${ids.join(' ')}${forgotten.length > ids.length ? ' …' : ''}\n`,
  );
}

function nameOf({ id, source, started_at: started }: NamedBackup): string {
  return `backup ${id.slice(0, 8)} of ${source ?? 'an unknown source'}, ${instant(started)},`;
}
