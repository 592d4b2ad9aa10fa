import { backup, type BackupResult } from '../../app/backup.ts';
import type { BackupView } from '../../app/backup-view.ts';
import { amountsOf } from '../amounts.ts';
import type { Face } from '../face.ts';
import { findingLines } from '../finding-lines.ts';
import { duration } from '../format.ts';
import { commonOptions, tags, text } from './common.ts';
import type { Handler } from './handler.ts';
import { renderCopies } from './sync.ts';

export const runBackup: Handler = (face, args, options) =>
  face.run(
    (context) =>
      backup(
        {
          ...commonOptions(options),
          sources: args,
          from: text(options, 'from'),
          tags: tags(options),
          dryRun: options['dryRun'] === true,
        },
        context,
      ),
    (result) => render(face, result),
  );

function render(face: Face, result: BackupResult): void {
  for (const { source, kind, findings } of result.plan ?? []) {
    const fails = findings.some(({ level }) => level === 'error');
    const head = fails
      ? `would fail: ${source} (${kind})`
      : `would back up ${source} (${kind}) to ${result.repository.location}`;
    face.say(`${head}\n${findingLines(findings)}`);
  }
  for (const view of result.backups) face.say(line(view));
  renderCopies(face, result.copies);
  if (result.not_made.length > 0) face.say(`not backed up: ${result.not_made.join(', ')}\n`);
}

function line(view: BackupView): string {
  const mark = view.incomplete === null ? '' : ', INCOMPLETE';
  return `backup ${view.id.slice(0, 8)} of ${view.source}: ${amountsOf(view)}, in ${duration(view.duration_ms)}${mark}\n`;
}
