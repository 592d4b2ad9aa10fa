import { Option, type Command } from 'commander';
import { count } from './values.ts';

/** Adds a verb below another one, with its examples. */
export type AddVerb = (
  parent: Command,
  usage: string,
  summary: string,
  examples: readonly (readonly [string, string])[],
) => Command;

/** The verbs that keep and forget backups. */
export function retentionVerbs(program: Command, verb: AddVerb): void {
  const clean = verb(program, 'clean', 'forget the backups that no rule of retention keeps', [
    ['holdfast clean --dry-run', 'show what stays and what goes, each with its reasons'],
    ['holdfast clean', 'by the rules of the configuration (retention)'],
    ['holdfast clean --prune', 'for cron: forget, and give back what was marked long enough ago'],
    ['holdfast clean --keep 10', 'the newest ten of every source'],
    ['holdfast clean --source shop --keep-daily 7 --keep-within 3d', 'one source, by rules of your own'],
    ['holdfast clean --dry-run --json', 'the plan, for a program'],
  ])
    .option('--source <name>', 'only this source; may be repeated (default: all configured)', collect)
    .option('--prune', 'give space back right after it, as holdfast prune does')
    .option('--dry-run', 'show the plan, forget nothing');
  rules(clean);
  asks(clean);

  const forget = verb(program, 'forget <ids...>', 'forget single backups, or bring them back', [
    ['holdfast forget 3f9a', 'what only it needs is given back by a later prune'],
    ['holdfast forget 3f9a 71c2 --dry-run', 'look whether they may go'],
    ['holdfast forget --undo 3f9a', 'bring it back, as long as no prune has taken what it needs'],
  ])
    .option('--undo', 'bring back what was forgotten')
    .option('--force', 'also the last good backup of a source, and what recovery by keep_wal begins with')
    .option('--dry-run', 'look whether it can be done, change nothing');
  asks(forget);

  verb(program, 'pin <id>', 'keep a backup, whatever rules say', [
    ['holdfast pin latest:shop', 'the newest of a source'],
    ['holdfast pin 3f9a --reason migration', 'says why, for whoever finds it'],
  ]).option('--reason <text>', 'why');
  verb(program, 'unpin <id>', 'leave a pinned backup to the rules again', [
    ['holdfast unpin 3f9a', 'it is forgotten when no rule keeps it'],
  ]);
}

function rules(clean: Command): void {
  clean
    .optionsGroup('Rules, in the place of all that the configuration has:')
    .option('--keep-last <n>', 'the newest so many; --keep for short', count)
    .addOption(new Option('--keep <n>').argParser(count).hideHelp().conflicts('keepLast'))
    .option('--keep-hourly <n>', 'the newest of each of the newest so many hours with a backup', count)
    .option('--keep-daily <n>', 'the same, of days', count)
    .option('--keep-weekly <n>', 'of weeks, which begin on Mondays', count)
    .option('--keep-monthly <n>', 'of months', count)
    .option('--keep-yearly <n>', 'of years', count)
    .option('--keep-within <time>', 'all that are younger, counted from the newest: 12h, 7d, 4w, 6mo, 1y')
    .option('--keep-tag <tag>', 'all with this label, key or key=value; may be repeated', collect)
    .option('--keep-wal <time>', 'how far back clusters stay recoverable to any moment: 14d');
}

/** On a terminal. */
function asks(command: Command): void {
  command.options.find(({ long }) => long === '--yes')?.hideHelp(false);
}

function collect(value: string, before: readonly string[] | undefined): readonly string[] {
  return [...(before ?? []), value];
}
