import { writeFile } from 'node:fs/promises';
import { Arena, say, type Sample } from './arena.ts';
import { contestants } from './contestants.ts';
import type { Flags } from './flags.ts';
import { jobsFlag } from './postgres.ts';
import { gigabytes, verdict } from './postgres-report.ts';

const limitBytes = 512 * 1_048_576;

/** The peak memory of a backup, of a second one and of a restore; the restore is checked row by row. */
export async function benchMemory(flags: Flags): Promise<void> {
  await using arena = await Arena.open(flags.gigabytes, flags.scratch);
  const ours = contestants.find(({ tool }) => tool === 'holdfast');
  if (ours === undefined) throw new Error('holdfast is not among the contestants');
  const place = await arena.newPlace(ours);
  const expected = await arena.content();
  const samples: Record<string, Sample> = {};
  for (const step of ['backup', 'second backup', 'restore']) {
    say(`measuring the ${step}`);
    samples[step] =
      step === 'restore'
        ? await arena.restore(ours, place, expected, jobsFlag(flags))
        : await arena.backup(ours, place, jobsFlag(flags));
  }
  const lines = Object.entries(samples).map(([step, { programs, peakBytes, wallSeconds }]) => {
    const children = Object.entries(programs)
      .filter(([program]) => program.startsWith('pg_') || program === 'psql')
      .map(([program, use]) => `${program} ${mebibytes(use.peakBytes)}`);
    const own = mebibytes(programs['node']?.peakBytes ?? 0);
    return `| ${step} | ${own} | ${children.join(', ')} | ${mebibytes(peakBytes)} | ${wallSeconds.toFixed(1)} |`;
  });
  const worst = Math.max(
    ...Object.values(samples).map(({ programs }) => programs['node']?.peakBytes ?? Number.NaN),
  );
  process.stdout.write(`## Peak memory with a database of ${gigabytes(arena.databaseBytes)}

MiB. The process of holdfast with all its threads (VmHWM), the largest of each client tool beside it, and the greatest sum
over all of them at one instant, where pages that two processes share count twice.

| step | holdfast | client tools | together | seconds |
| --- | --- | --- | --- | --- |
${lines.join('\n')}

| target | measured | |
| --- | --- | --- |
${verdict('holdfast itself takes ≤ 512 MiB', worst, limitBytes, (value) => `${mebibytes(value)} MiB`)}
`);
  if (flags.json !== undefined)
    await writeFile(flags.json, `${JSON.stringify({ schema: 1, samples }, null, 2)}\n`);
}

function mebibytes(bytes: number): string {
  return String(Math.round(bytes / 1_048_576));
}
