import { writeFile } from 'node:fs/promises';
import { Arena, database, say } from './arena.ts';
import { contestants } from './contestants.ts';
import type { Flags } from './flags.ts';
import { appendRows, updateScattered } from './postgres-data.ts';
import { installed, jobsFlag } from './postgres.ts';
import { gigabytes, megabytes, verdict } from './postgres-report.ts';

const appendedShare = 0.01;

/** What a backup after scattered updates and one after an append store, as shares of the first. */
export async function benchDedup(flags: Flags): Promise<void> {
  await using arena = await Arena.open(flags.gigabytes, flags.scratch);
  const { server, rows } = arena;
  const { chosen } = await installed(flags, arena);
  const keepers = chosen.filter(({ keepsHistory }) => keepsHistory);
  const places = new Map<string, string>();
  for (const keeper of keepers) places.set(keeper.name, await arena.newPlace(keeper));
  const count = flags.updates;
  const steps: Record<string, () => Promise<void>> = {
    first: async () => {},
    [`after ${count} updates, every row as likely`]: async () =>
      await updateScattered(server, database, rows, { count, spread: 'rows', round: 1 }),
    [`after ${count} more, a quarter to each big table`]: async () =>
      await updateScattered(server, database, rows, { count, spread: 'tables', round: 2 }),
    'after 1% more rows': async () => await appendRows(server, database, rows, appendedShare),
    'nothing changed': async () => {},
  };
  const stored = new Map<string, Record<string, number>>(keepers.map(({ name }) => [name, {}]));
  for (const [step, change] of Object.entries(steps)) {
    await change();
    for (const keeper of keepers) {
      say(`${keeper.name}, ${step}`);
      const flagsOfOurs = keeper.tool === 'holdfast' ? jobsFlag(flags) : [];
      const sample = await arena.backup(keeper, places.get(keeper.name) ?? '', flagsOfOurs);
      (stored.get(keeper.name) ?? {})[step] = sample.storedBytes;
    }
  }
  const expected = await arena.content();
  for (const keeper of keepers) await arena.restore(keeper, places.get(keeper.name) ?? '', expected);
  say('the last backup of everybody restores to what is there now');
  process.stdout.write(render(arena.databaseBytes, Object.keys(steps), stored));
  if (flags.json !== undefined)
    await writeFile(
      flags.json,
      `${JSON.stringify({ schema: 1, stored: Object.fromEntries(stored) }, null, 2)}\n`,
    );
}

function render(
  sizeBytes: number,
  steps: readonly string[],
  stored: ReadonlyMap<string, Readonly<Record<string, number>>>,
): string {
  const shareOf = (own: Readonly<Record<string, number>>, step: string): number =>
    (own[step] ?? Number.NaN) / (own['first'] ?? Number.NaN);
  const percent = (share: number): string => `${(share * 100).toFixed(1)}%`;
  const lines = [...stored].map(([name, own]) => {
    const cells = steps.map(
      (step) => `${megabytes(own[step] ?? 0)}${step === 'first' ? '' : ` (${percent(shareOf(own, step))})`}`,
    );
    return `| ${name.replaceAll('|', '\\|')} | ${cells.join(' | ')} |`;
  });
  const ours = stored.get(contestants.find(({ tool }) => tool === 'holdfast')?.name ?? '') ?? {};
  const targets = steps
    .slice(1)
    .map((step) => verdict(`${step}: ≤ 5% of the first`, shareOf(ours, step), 0.05, percent));
  return `## Stored by each backup of a database of ${gigabytes(sizeBytes)}, in MB

| tool | ${steps.join(' | ')} |
|${' --- |'.repeat(steps.length + 1)}
${lines.join('\n')}

| target | measured | |
| --- | --- | --- |
${targets.join('\n')}
`;
}
