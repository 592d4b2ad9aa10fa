import { clean, type CleanPlan, type CleanResult, type RetentionRules } from '../../app/clean.ts';
import { plural } from '../../kernel/plural.ts';
import type { Face } from '../face.ts';
import { instant, table } from '../format.ts';
import { commonOptions, number, text } from './common.ts';
import type { Handler } from './handler.ts';
import { renderPrune } from './prune.ts';

type Options = Readonly<Record<string, unknown>>;

export const runClean: Handler = (face, _args, options) =>
  face.run(
    (context) =>
      clean(
        {
          ...commonOptions(options),
          sources: list(options, 'source'),
          retention: rulesOf(options),
          dryRun: options['dryRun'] === true,
          yes: options['yes'] === true,
          prune: options['prune'] === true,
          // Before anybody is asked whether that is what should happen.
          ...(face.options.json || (face.options.quiet && options['dryRun'] !== true)
            ? {}
            : { onPlan: (plan) => showPlan(face, plan) }),
        },
        context,
      ),
    (result) => render(face, result),
  );

/** Undefined when no rule was given: then the configuration has them. */
function rulesOf(options: Options): RetentionRules | undefined {
  const given = {
    keep_last: number(options, 'keepLast') ?? number(options, 'keep'),
    keep_hourly: number(options, 'keepHourly'),
    keep_daily: number(options, 'keepDaily'),
    keep_weekly: number(options, 'keepWeekly'),
    keep_monthly: number(options, 'keepMonthly'),
    keep_yearly: number(options, 'keepYearly'),
    keep_within: text(options, 'keepWithin'),
    keep_tags: list(options, 'keepTag'),
    keep_wal: text(options, 'keepWal'),
  };
  const rules = Object.entries(given).filter(([, value]) => value !== undefined);
  return rules.length === 0 ? undefined : Object.fromEntries(rules);
}

function list(options: Options, name: string): string[] | undefined {
  return options[name] as string[] | undefined;
}

function showPlan(face: Face, { plan, policies, timezone }: CleanPlan): void {
  for (const { source, retention, from } of policies)
    if (retention !== null) face.say(`${source}: ${rulesText(retention)}, by ${from ?? ''}\n`);
  if (plan.length === 0) return;
  face.say(`days and weeks are those of ${timezone}\n`);
  const rows = plan.map(({ id, started_at: started, source, action, reasons }) => [
    action === 'keep' ? 'keep' : 'FORGET',
    id.slice(0, 8),
    instant(started),
    source,
    reasons.join('; '),
  ]);
  face.product(table(['', 'ID', 'STARTED', 'SOURCE', 'WHY'], rows));
}

/** As the settings have them: `keep_last 10, keep_within 7d`. */
function rulesText(rules: RetentionRules): string {
  return Object.entries(rules)
    .map(([key, value]) => `${key} ${Array.isArray(value) ? value.join(' ') : String(value)}`)
    .join(', ');
}

function render(face: Face, result: CleanResult): void {
  const { forgotten, kept, dry_run: dryRun, repository, unreadable, prune } = result;
  for (const { message, id } of unreadable)
    face.notice({
      level: 'warning',
      message: `backup ${id.slice(0, 8)} cannot be read and stays: ${message}`,
      hint: `to forget it: holdfast forget ${id}`,
    });
  const stay = `${plural(kept, 'backup')} ${kept === 1 ? 'stays' : 'stay'}`;
  if (forgotten === 0) face.say(`nothing to forget in ${repository.location}: ${stay}\n`);
  else if (dryRun) face.say(`${plural(forgotten, 'backup')} would be forgotten, ${stay}\n`);
  else
    face.say(
      `${plural(forgotten, 'backup')} forgotten, ${stay}. holdfast prune gives the space back; until then holdfast forget --undo ID brings one back\n`,
    );
  if (prune !== null) renderPrune(face, prune);
}
