import { exportTo, type ExportResult } from '../../app/export.ts';
import { plural } from '../../kernel/plural.ts';
import type { Face } from '../face.ts';
import { bytes, duration } from '../format.ts';
import { commonOptions, text } from './common.ts';
import type { Handler } from './handler.ts';

export const runExport: Handler = (face, [id = ''], options) =>
  face.run(
    (context) =>
      exportTo(
        {
          ...commonOptions(options),
          id,
          to: text(options, 'to') ?? '',
          format: text(options, 'format'),
          only: options['only'] as readonly string[] | undefined,
          force: options['force'] === true,
          dryRun: options['dryRun'] === true,
        },
        context,
      ),
    (result) => render(face, result),
  );

function render(face: Face, { backup, dry_run: dry, files, duration_ms: took }: ExportResult): void {
  const what = `backup ${backup.id.slice(0, 8)} of ${backup.source}`;
  for (const message of new Set(files.flatMap(({ warnings }) => warnings)))
    face.notice({ level: 'warning', message });
  if (dry) face.say(`would export ${what} to ${plural(files.length, 'file')}; nothing was written\n`);
  for (const file of files) {
    face.product(`${file.path}\n`);
    if (file.bytes !== null) face.say(`  ${bytes(file.bytes)}, sha256 ${file.sha256}\n  ${file.use}\n`);
  }
  if (!dry) face.say(`exported ${what} to ${plural(files.length, 'file')}, in ${duration(took)}\n`);
}
