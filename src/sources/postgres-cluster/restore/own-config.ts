import { dirname } from 'node:path';
import type { RestoreContext } from '../../port.ts';
import { type ConfLine, parseConf } from './conf.ts';
import { isInclude, staysWithin } from './effective.ts';
import type { SmallFiles } from './small-files.ts';
import { readSmall, type Special } from './survey.ts';

const mainConf = 'postgresql.conf';
/** Files that a server needs beside it, and the setting that may put each elsewhere. */
const needed: readonly (readonly [name: string, setting: string])[] = [
  ['pg_hba.conf', 'hba_file'],
  ['pg_ident.conf', 'ident_file'],
];

export interface ConfigWork {
  readonly files: SmallFiles;
  readonly context: RestoreContext;
  readonly target: string;
  readonly mode: number;
  /** `pg_control` of the backup. */
  readonly control: Buffer;
}

/** What was done about the configuration, for people; and the directories that were made for it. */
export interface ConfigDone {
  readonly notes: readonly string[];
  readonly made: readonly string[];
}

/**
 * Sees to it that a server starts from the restored directory alone. Configuration that lay elsewhere is brought into it, and
 * settings that lead elsewhere are commented out: with an old `data_directory` the other cluster would be started.
 */
export async function settleConfig(outside: readonly Special[], work: ConfigWork): Promise<ConfigDone> {
  const notes: string[] = [];
  const made: string[] = [];
  const drop = new Map<string, string>([['data_directory', work.target]]);
  let text = await work.files.file(mainConf);
  const main = outside.find(({ meta }) => nameOf(meta) === mainConf) ?? null;
  if (text === null && main !== null) {
    const bytes = await readSmall(main.stream, work.context);
    text = bytes.toString();
    made.push(...(await bringIncluded(main, text, outside, work)));
    drop.set('external_pid_file', '');
    notes.push(
      `${mainConf} was written from ${originalOf(main.meta) ?? 'elsewhere'}, where the server had it`,
    );
  }
  for (const [name, setting] of needed) {
    if ((await work.files.file(name)) !== null) continue;
    const found = outside.find(({ meta }) => nameOf(meta) === name);
    if (found === undefined) continue;
    await work.files.put(name, await readSmall(found.stream, work.context), work.mode);
    drop.set(setting, '');
    notes.push(`${name} was written from ${originalOf(found.meta) ?? 'elsewhere'}`);
  }
  notes.push(...(await writeMissing(text, work)));
  if (text === null) return { notes, made };
  const settled = await withoutElsewhere(text, drop, work.files);
  if (settled.changed || main !== null) await work.files.put(mainConf, settled.text, work.mode);
  return { notes: [...notes, ...settled.notes], made };
}

/** Included files that lie beside the main one come along; directories that it includes are made. */
async function bringIncluded(
  main: Special,
  text: string,
  outside: readonly Special[],
  { files, context, mode }: ConfigWork,
): Promise<string[]> {
  const base = `${dirname(originalOf(main.meta) ?? '/')}/`;
  const made: string[] = [];
  for (const { setting } of parseConf(text))
    if (setting?.name === 'include_dir' && staysWithin(setting.value))
      made.push(...(await files.makeDirectory(setting.value)));
  for (const { meta, stream } of outside) {
    const original = originalOf(meta) ?? '';
    const relative = original.startsWith(base) ? original.slice(base.length) : '';
    const reserved = [mainConf, 'postgresql.auto.conf', ...needed.map(([name]) => name)].includes(relative);
    if (!relative.endsWith('.conf') || reserved || !staysWithin(relative)) continue;
    const above = dirname(relative);
    if (above !== '.') made.push(...(await files.makeDirectory(above)));
    await files.put(relative, await readSmall(stream, context), mode);
  }
  return made;
}

/** A server does not start without these; of a backup over the network the ones from elsewhere are not known. */
async function writeMissing(
  main: string | null,
  { files, mode, target, control }: ConfigWork,
): Promise<string[]> {
  const missing: string[] = [];
  const add = async (name: string, text: string): Promise<void> => {
    if ((await files.file(name)) !== null) return;
    await files.put(name, text, mode);
    missing.push(name);
  };
  const why =
    '# The backup has no such file: this one was written by Holdfast when it restored the cluster.\n';
  if (main === null) await add(mainConf, `${why}${leastSettings(control)}`);
  const elsewhere = new Set(parseConf(main ?? '').map(({ setting }) => setting?.name));
  if (!elsewhere.has('hba_file')) await add('pg_hba.conf', `${why}local all all peer\n`);
  if (!elsewhere.has('ident_file')) await add('pg_ident.conf', why);
  if (missing.length === 0) return [];
  return [
    `the backup has no ${missing.join(', ')}: what a server needs at least was written to ${target}; put your own there before you use it`,
  ];
}

/** Of settings that recovery refuses to have lower than they were; in pg_control of all versions served at this place. */
const leastOffset = 180;
const least = [
  'max_connections',
  'max_worker_processes',
  'max_wal_senders',
  'max_prepared_transactions',
  'max_locks_per_transaction',
];
const highest = 0x3ffff;

function leastSettings(control: Buffer): string {
  if (control.length < leastOffset + least.length * 4) return '';
  const values = least.map((_, index) => control.readInt32LE(leastOffset + index * 4));
  if (values.some((value) => value < 0 || value > highest)) return '';
  return least.map((name, index) => `${name} = ${values[index] ?? 0}\n`).join('');
}

async function withoutElsewhere(
  text: string,
  drop: ReadonlyMap<string, string>,
  files: SmallFiles,
): Promise<{ readonly text: string; readonly changed: boolean; readonly notes: readonly string[] }> {
  const notes: string[] = [];
  const lines: string[] = [];
  for (const line of parseConf(text)) {
    const reason = await whyDropped(line, drop, files);
    lines.push(reason === null ? line.text : `# Commented out by Holdfast, ${reason}: ${line.text}`);
    if (reason !== null) notes.push(`commented out in ${mainConf}, ${reason}: ${line.text.trim()}`);
  }
  return { text: `${lines.join('\n')}\n`, changed: notes.length > 0, notes };
}

async function whyDropped(
  { setting }: ConfLine,
  drop: ReadonlyMap<string, string>,
  files: SmallFiles,
): Promise<string | null> {
  if (setting === null) return null;
  const stays = drop.get(setting.name);
  if (stays !== undefined) return setting.value === stays ? null : 'for it leads elsewhere';
  if (setting.name !== 'include' || !isInclude(setting) || !staysWithin(setting.value)) return null;
  return (await files.file(setting.value)) === null ? 'for the file is not in the backup' : null;
}

function originalOf({ original }: Readonly<Record<string, unknown>>): string | null {
  return typeof original === 'string' ? original : null;
}

function nameOf(meta: Readonly<Record<string, unknown>>): string {
  const original = originalOf(meta) ?? '';
  return original.slice(original.lastIndexOf('/') + 1);
}
