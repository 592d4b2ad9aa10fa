import { list, type ListedBackup, type ListResult } from '../../app/list.ts';
import { recoverableText } from '../cluster-facts.ts';
import type { Face } from '../face.ts';
import { plural } from '../../kernel/plural.ts';
import { bytes, duration, instant, table } from '../format.ts';
import { commonOptions, number, tags, text } from './common.ts';
import type { Handler } from './handler.ts';

export const runList: Handler = (face, _args, options) =>
  face.run(
    (context) =>
      list(
        {
          ...commonOptions(options),
          source: text(options, 'source'),
          tags: tags(options),
          limit: number(options, 'limit'),
        },
        context,
      ),
    (result) => render(face, result),
  );

function render(face: Face, { backups, repository, unreadable }: ListResult): void {
  for (const { message, id } of unreadable)
    face.notice({
      level: 'warning',
      message: `backup ${id.slice(0, 8)} is there and cannot be read: ${message}`,
    });
  if (backups.length === 0) {
    face.say(`no backups in ${repository.location}\n`);
    return;
  }
  const hasClusters = backups.some(({ recoverable }) => recoverable !== null);
  const rows = backups.map((view) => [
    view.id.slice(0, 8),
    instant(view.started_at),
    view.source,
    view.kind,
    bytes(view.bytes),
    bytes(view.bytes_added),
    duration(view.duration_ms),
    ...(hasClusters ? [recoverableText(view.recoverable)] : []),
    remarks(view).join(' '),
  ]);
  const titles = ['ID', 'STARTED', 'SOURCE', 'KIND', 'SIZE', 'STORED', 'TOOK'];
  face.product(table([...titles, ...(hasClusters ? ['RECOVERS'] : []), 'TAGS'], rows, [4, 5, 6]));
  face.say(`${plural(backups.length, 'backup')} in ${repository.location}\n`);
}

const imported = /^imported_(?:from|id|started_at)$/;
const longestFile = 30;

/** Tags, and what else there is to know. Where an imported backup comes from is told at length by info. */
function remarks({ incomplete, pinned, tags }: ListedBackup): string[] {
  const { imported_from: file, imported_id: id } = tags;
  const others = Object.entries(tags).filter(([key]) => file === undefined || !imported.test(key));
  return [
    ...(pinned === null ? [] : [pinned === '' ? 'pinned' : `pinned: ${pinned}`]),
    ...(incomplete === null ? [] : ['incomplete']),
    ...(file === undefined ? [] : [`imported from ${id?.slice(0, 8) ?? shortened(file)}`]),
    ...others.map(([key, value]) => `${key}=${value}`),
  ];
}

function shortened(file: string): string {
  return file.length > longestFile ? `…${file.slice(1 - longestFile)}` : file;
}
