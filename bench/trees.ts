import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { removeWhenInterrupted, say } from './arena.ts';
import { environmentFor, versionOf } from './contestants.ts';
import type { Flags } from './flags.ts';
import { machineFacts, outputOf } from './machine.ts';
import { measure, storedBytes, type Measurement } from './measure.ts';
import { renderTreeReport, type TreeResult, type TreeScenario } from './tree-report.ts';
import { treeContestants, type TreeContestant } from './tree-contestants.ts';
import { largeFiles, smallFiles, sqliteDatabase, type TreeData } from './tree-data.ts';

const run = promisify(execFile);

/** Files, small and big, or a SQLite database: everybody does the same, in turn, as often as asked for. */
export async function benchTrees(kind: 'files' | 'sqlite', flags: Flags): Promise<void> {
  const sets =
    kind === 'files'
      ? [smallFiles(flags.gigabytes), largeFiles(flags.gigabytes)]
      : [sqliteDatabase(flags.gigabytes, flags.updates)];
  const env = { PATH: process.env['PATH'] ?? '/usr/bin:/bin', LC_ALL: 'C.UTF-8' };
  const { chosen, versions } = await installed(kind, flags, env);
  const scratch = await mkdtemp(join(flags.scratch ?? tmpdir(), 'holdfast-bench-'));
  removeWhenInterrupted(scratch);
  try {
    const reports = [];
    for (const data of sets) {
      const results = await new TreeBench(data, chosen, scratch, env, flags).run();
      reports.push({ title: data.title, ...results });
    }
    const report = {
      schema: 1,
      kind,
      machine: await machineFacts(scratch),
      versions,
      runs: flags.runs,
      reports,
    };
    process.stdout.write(renderTreeReport(report));
    if (flags.json !== undefined) await writeFile(flags.json, `${JSON.stringify(report, null, 2)}\n`);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

async function installed(
  kind: 'files' | 'sqlite',
  flags: Flags,
  env: NodeJS.ProcessEnv,
): Promise<{ chosen: TreeContestant[]; versions: string[] }> {
  const chosen: TreeContestant[] = [];
  const versions: string[] = [];
  for (const contestant of treeContestants(kind)) {
    const { name, tool } = contestant;
    if (flags.only.length > 0 && tool !== 'holdfast' && !flags.only.some((part) => name.includes(part)))
      continue;
    const version = await versionOf(tool, env);
    versions.push(version ?? `${tool}: not installed, left out`);
    if (version !== undefined) chosen.push(contestant);
    else if (tool === 'holdfast') throw new Error('bin/holdfast --version fails');
  }
  return { chosen, versions };
}

class TreeBench {
  readonly #data: TreeData;
  readonly #contestants: readonly TreeContestant[];
  readonly #scratch: string;
  readonly #env: NodeJS.ProcessEnv;
  readonly #flags: Flags;
  readonly #results: TreeResult[] = [];
  #away = 0;

  constructor(
    data: TreeData,
    contestants: readonly TreeContestant[],
    scratch: string,
    env: NodeJS.ProcessEnv,
    flags: Flags,
  ) {
    this.#data = data;
    this.#contestants = contestants;
    this.#scratch = scratch;
    this.#env = env;
    this.#flags = flags;
  }

  async run(): Promise<{ data: string; change: string; bytes: number; results: readonly TreeResult[] }> {
    const directory = join(this.#scratch, 'data');
    await mkdir(directory);
    const data = this.#data.create(directory);
    const bytes = await storedBytes(directory);
    say(`${this.#data.title}: ${data}, ${Math.round(bytes / 1e6)} MB`);
    // What was written just now is too young to be trusted as unchanged, by everybody who looks at times.
    let change = '';
    for (let round = 1; round <= this.#flags.runs; round += 1) change = await this.#round(directory, round);
    await this.#putAway(directory);
    return { data, change, bytes, results: this.#results };
  }

  async #round(data: string, round: number): Promise<string> {
    const places = new Map<TreeContestant, string>();
    for (const contestant of this.#contestants) {
      const place = await mkdtemp(join(this.#scratch, 'place-'));
      places.set(contestant, place);
      await mkdir(join(place, 'tmp'));
      const env = this.#envIn(place, data);
      if (contestant.prepare !== undefined)
        await run('/bin/bash', ['-c', contestant.prepare], { cwd: place, env });
    }
    // The same tree for everybody, read once.
    await run('/bin/bash', ['-c', 'find "$0" -type f -exec cat {} + >/dev/null; sync; sleep 3', data]);
    for (const [contestant, place] of places) await this.#backup('full', contestant, place, data, round);
    for (const [contestant, place] of places) await this.#backup('unchanged', contestant, place, data, round);
    for (const [contestant, place] of places) await this.#restore(contestant, place, data, round);
    const change = this.#data.change(data, round);
    await run('/bin/bash', ['-c', 'sync; sleep 3']);
    for (const [contestant, place] of places) await this.#backup('changed', contestant, place, data, round);
    for (const [contestant, place] of places) await this.#restoreAndCompare(contestant, place, data);
    for (const place of places.values()) await this.#putAway(place);
    return change;
  }

  /**
   * Removed when all is over: for minutes after many files were removed, ext4 is slow in making new ones, and whoever
   * comes next would pay for it.
   */
  async #putAway(path: string): Promise<void> {
    this.#away += 1;
    await rename(path, join(this.#scratch, `away-${this.#data.title.length}-${this.#away}`));
  }

  async #backup(
    scenario: TreeScenario,
    contestant: TreeContestant,
    place: string,
    data: string,
    round: number,
  ): Promise<void> {
    const repository = join(place, 'repository');
    const before = await storedBytes(repository);
    const measured = await this.#measure(contestant.backup, place, data);
    this.#keep(scenario, contestant, round, measured, (await storedBytes(repository)) - before);
  }

  async #restore(contestant: TreeContestant, place: string, data: string, round: number): Promise<void> {
    const measured = await this.#restoreAndCompare(contestant, place, data);
    this.#keep('restore', contestant, round, measured, 0);
  }

  /** A time is believed only for a result that is right. */
  async #restoreAndCompare(contestant: TreeContestant, place: string, data: string): Promise<Measurement> {
    const measured = await this.#measure(contestant.restore, place, data);
    const target = join(place, 'restored');
    await run('diff', ['-r', '--no-dereference', data, target], { maxBuffer: 1e6 });
    await this.#putAway(target);
    return measured;
  }

  async #measure(command: string, place: string, data: string): Promise<Measurement> {
    await outputOf('sync', []);
    return await measure(command, { env: this.#envIn(place, data), cwd: place });
  }

  #envIn(place: string, data: string): NodeJS.ProcessEnv {
    return {
      ...environmentFor(place, this.#env),
      TMPDIR: join(place, 'tmp'),
      DATA: data,
      TARGET: join(place, 'restored'),
      BORG_RELOCATED_REPO_ACCESS_IS_OK: 'yes',
    };
  }

  #keep(
    scenario: TreeScenario,
    { name }: TreeContestant,
    round: number,
    { wallSeconds, cpuSeconds, peakBytes }: Measurement,
    stored: number,
  ): void {
    this.#results.push({
      scenario,
      contestant: name,
      round,
      wallSeconds,
      cpuSeconds,
      peakBytes,
      storedBytes: stored,
    });
    say(
      `round ${round}  ${scenario.padEnd(9)} ${name.padEnd(10)} ${wallSeconds.toFixed(2)} s  ${(stored / 1e6).toFixed(1)} MB`,
    );
  }
}
