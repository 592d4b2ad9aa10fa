import { info, type EntryView, type InfoResult } from '../../app/info.ts';
import type { Face } from '../face.ts';
import { plural } from '../../kernel/plural.ts';
import { bytes, duration, instant } from '../format.ts';
import { clusterFacts } from '../cluster-facts.ts';
import { filesFacts } from '../files-facts.ts';
import { postgresFacts } from '../postgres-facts.ts';
import { commonOptions } from './common.ts';
import type { Handler } from './handler.ts';

export const runInfo: Handler = (face, [id = ''], options) => {
  const common = { ...commonOptions(options), id };
  if (options['entries'] !== true)
    return face.run(
      (context) => info(common, context),
      ({ backup, copies }) => {
        render(face, backup);
        face.product(copyLines(copies));
      },
    );
  // A million entries do not wait for each other: what is said of the backup comes first.
  const onBackup = (backup: Backup): void => {
    if (!face.options.json) render(face, backup, '\n');
  };
  const onEntry = (entry: EntryView): void => {
    if (face.options.json) face.listed('entries', entry);
    else face.product(entryLine(entry));
  };
  return face.run(
    (context) => info({ ...common, onBackup, onEntry }, context),
    ({ copies }) => face.say(copyLines(copies)),
  );
};

type Backup = InfoResult['backup'];

function copyLines(copies: InfoResult['copies']): string {
  const state = (has: boolean | null): string =>
    has === null ? 'cannot be reached' : has ? 'has it' : 'does not have it';
  return copies.map(({ name, has }) => `copy ${name}: ${state(has)}\n`).join('');
}

/** Size, mode and time of change as far as there are any, kind and path. */
function entryLine({ path, kind, bytes: size, meta }: EntryView): string {
  const ofFiles = kind.startsWith('files.') ? `  ${modeText(meta['mode'])}  ${timeText(meta['mtime'])}` : '';
  return `${bytes(size).padStart(9)}${ofFiles}  ${kind.padEnd(15)}  ${path}\n`;
}

function modeText(mode: unknown): string {
  return typeof mode === 'number' ? mode.toString(8).padStart(4, '0') : '-'.padStart(4);
}

/** Of nanoseconds since 1970; times that no calendar has are left out. */
function timeText(ns: unknown): string {
  const time = typeof ns === 'string' ? new Date(Number(BigInt(ns) / 1_000_000n)) : new Date(Number.NaN);
  return (Number.isNaN(time.getTime()) ? '-' : instant(time.toISOString())).padEnd(20);
}

function render(face: Face, backup: Backup, after = ''): void {
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
    ...(backup.pinned === null
      ? []
      : [['pinned', backup.pinned === '' ? 'yes' : backup.pinned] as [string, string]]),
    ...(backup.incomplete === null ? [] : [['incomplete', backup.incomplete] as [string, string]]),
    ...backup.warnings.map((warning): [string, string] => ['warning', warning]),
    ...(postgresFacts(backup.metadata) ??
      filesFacts(backup.metadata) ??
      clusterFacts(backup) ??
      plainFacts(backup.metadata)),
    ['entries', String(backup.entries)],
  ];
  const width = Math.max(...rows.map(([key]) => key.length));
  face.product(`${rows.map(([key, value]) => `${key.padEnd(width)}  ${value}\n`).join('')}${after}`);
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
