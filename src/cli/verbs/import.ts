import { importFiles, type ImportResult } from '../../app/import.ts';
import { amountsOf } from '../amounts.ts';
import type { Face } from '../face.ts';
import { duration } from '../format.ts';
import { commonOptions, tags, text } from './common.ts';
import type { Handler } from './handler.ts';

export const runImport: Handler = (face, files, options) =>
  face.run(
    (context) =>
      importFiles(
        {
          ...commonOptions(options),
          files,
          source: text(options, 'source'),
          tags: tags(options),
          dryRun: options['dryRun'] === true,
        },
        context,
      ),
    (result) => render(face, result),
  );

function render(face: Face, { backups, not_made: notMade, plan, repository }: ImportResult): void {
  for (const { file, kind, source, checked } of plan ?? []) {
    const sum = checked ? ', its checksum fits' : '';
    face.say(`would import ${file} as a backup of ${source} (${kind}) into ${repository.location}${sum}\n`);
  }
  for (const view of backups) {
    const from = view.tags['imported_from'] ?? '';
    const id = view.id.slice(0, 8);
    face.say(
      `backup ${id} of ${view.source} from ${from}: ${amountsOf(view)}, in ${duration(view.duration_ms)}\n`,
    );
    face.say(`  to restore it, name it: holdfast restore ${id} (latest passes over what was imported)\n`);
  }
  if (notMade.length > 0) face.say(`not imported: ${notMade.join(', ')}\n`);
}
