import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Arena, say, type Sample } from './arena.ts';
import { contestants, holdfast, type Contestant } from './contestants.ts';
import { readProfiles, type ThreadProfile } from './cpu-profile.ts';
import type { Flags } from './flags.ts';
import { machineFacts } from './machine.ts';
import { jobsFlag } from './postgres.ts';
import { gigabytes } from './postgres-report.ts';

const shownFrames = 14;
const main = fileURLToPath(new URL('../src/cli/main.ts', import.meta.url));

/** Runs one backup, one unchanged second backup and one restore under V8's profiler and says where the time went. */
export async function profilePostgres(flags: Flags): Promise<void> {
  await using arena = await Arena.open(flags.gigabytes, flags.scratch);
  const ours = contestants.find(({ tool }) => tool === 'holdfast');
  if (ours === undefined) throw new Error('holdfast is not among the contestants');
  const place = await arena.newPlace(ours);
  const expected = await arena.content();
  const steps = {
    'first backup': async (own: Contestant) => await arena.backup(own, place, jobsFlag(flags)),
    'second backup, nothing changed': async (own: Contestant) =>
      await arena.backup(own, place, jobsFlag(flags)),
    restore: async (own: Contestant) => await arena.restore(own, place, expected, jobsFlag(flags)),
  };
  const { cores, cpu } = await machineFacts(arena.scratch);
  process.stdout.write(`## Where the time goes: ${gigabytes(arena.databaseBytes)}, ${cores} × ${cpu}\n`);
  const results: unknown[] = [];
  for (const [index, [step, run]] of Object.entries(steps).entries()) {
    say(`profiling the ${step}`);
    const directory = join(arena.scratch, `profile-${index}`);
    const sample = await run(profiled(ours, directory));
    const threads = await readProfiles(directory);
    process.stdout.write(`\n### ${step}\n\n${shares(sample, cores)}${threads.map(render).join('')}`);
    results.push({ step, ...sample, threads });
  }
  if (flags.json !== undefined)
    await writeFile(flags.json, `${JSON.stringify({ schema: 1, results }, null, 2)}\n`);
}

/** The same commands on a Node that writes a profile of every thread when it ends. */
function profiled(ours: Contestant, directory: string): Contestant {
  const node = `'${process.execPath}' --disable-warning=ExperimentalWarning --cpu-prof '--cpu-prof-dir=${directory}' '${main}'`;
  const swap = (command: string): string => command.replaceAll(`'${holdfast}'`, node);
  return {
    ...ours,
    backup: swap(ours.backup),
    ...(ours.restore === undefined ? {} : { restore: swap(ours.restore) }),
  };
}

/** Which program had the processors, of all the time they had. */
function shares(sample: Sample, cores: number): string {
  const available = sample.wallSeconds * cores;
  const uses = Object.entries(sample.programs).map(
    ([program, { cpuSeconds }]) => [program, cpuSeconds] as const,
  );
  const all = [...uses, ['PostgreSQL server', sample.serverCpuSeconds] as const].toSorted(
    (a, b) => b[1] - a[1],
  );
  const lines = all
    .filter(([, used]) => used >= 0.01)
    .map(([program, used]) => {
      return `| ${program} | ${used.toFixed(2)} | ${((used / available) * 100).toFixed(0)}% |`;
    });
  const head = `${sample.wallSeconds.toFixed(2)} s on ${cores} processors, profiler included.\n\n| program | CPU s | of the processors |`;
  return `${head}\n| --- | --- | --- |\n${lines.join('\n')}\n`;
}

function render({ thread, totalMilliseconds, busyMilliseconds, selfTimes }: ThreadProfile): string {
  const seconds = (milliseconds: number): string => (milliseconds / 1000).toFixed(2);
  const lines = selfTimes
    .filter(({ milliseconds }) => milliseconds >= totalMilliseconds / 200)
    .slice(0, shownFrames)
    .map(
      ({ frame, milliseconds }) =>
        `| ${frame.replaceAll('|', '\\|')} | ${seconds(milliseconds)} | ${((milliseconds / totalMilliseconds) * 100).toFixed(1)}% |`,
    );
  return `\n${thread}: busy ${seconds(busyMilliseconds)} of ${seconds(totalMilliseconds)} s\n\n| self time in | s | |\n| --- | --- | --- |\n${lines.join('\n')}\n`;
}
