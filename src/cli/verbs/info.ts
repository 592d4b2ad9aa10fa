import { info, type EntryView, type InfoResult } from '../../app/info.ts';
import type { Face } from '../face.ts';
import { plural } from '../../kernel/plural.ts';
import { bytes, duration, instant } from '../format.ts';
import { filesFacts } from '../files-facts.ts';
import { postgresFacts } from '../postgres-facts.ts';
import { commonOptions } from './common.ts';
import type { Handler } from './handler.ts';

export const runInfo: Handler = (face, [id = ''], options) =>
  face.run(
    (context) => {
      const onEntry = options['entries'] === true ? (entry: EntryView) => showEntry(face, entry) : undefined;
      return info({ ...commonOptions(options), id, onEntry }, context);
    },
    (result) => {
      if (options['entries'] === true) face.product('\n');
      render(face, result);
    },
  );

function showEntry(face: Face, entry: EntryView): void {
  if (face.options.json) face.listed('entries', entry);
  else face.product(`${bytes(entry.bytes).padStart(9)}  ${entry.kind.padEnd(15)}  ${entry.path}\n`);
}

function render(face: Face, { backup }: InfoResult): void {
  const { git } = backup;
  const rows: [string, string][] = [
    ['id', backup.id],
    ['source', `${backup.source} (${backup.kind})`],
    ['started', `${instant(backup.started_at)}, took ${duration(backup.duration_ms)}`],
    ['size', bytes(backup.bytes)],
    ['read', `${bytes(backup.bytes_read)} in ${plural(backup.chunks, 'chunk')}`],
    ['stored', `${bytes(backup.bytes_added)}, ${plural(backup.chunks_new, 'new chunk')}`],
    ['by', `${backup.user}@${backup.host}, holdfast ${backup.holdfast_version}`],
    ...(git === null
      ? []
      : [
          [
            'git',
            `${git.branch ?? 'no branch'} ${git.commit.slice(0, 12)}${git.dirty ? ' with changes' : ''}`,
          ] as [string, string],
        ]),
    ...Object.entries(backup.tags).map(([key, value]): [string, string] => ['tag', `${key}=${value}`]),
    ...(backup.incomplete === null ? [] : [['incomplete', backup.incomplete] as [string, string]]),
    ...backup.warnings.map((warning): [string, string] => ['warning', warning]),
    ...(postgresFacts(backup.metadata) ?? filesFacts(backup.metadata) ?? plainFacts(backup.metadata)),
    ['entries', String(backup.entries)],
  ];
  const width = Math.max(...rows.map(([key]) => key.length));
  face.product(rows.map(([key, value]) => `${key.padEnd(width)}  ${value}\n`).join(''));
}

/** What fits a line; the rest is in --json. */
function plainFacts(metadata: Readonly<Record<string, unknown>>): [string, string][] {
  return Object.entries(metadata)
    .filter(isPlain)
    .map(([key, value]) => [key, String(value)]);
}

function isPlain([key, value]: readonly [string, unknown]): boolean {
  return key !== 'schema' && ['string', 'number', 'boolean'].includes(typeof value);
}
