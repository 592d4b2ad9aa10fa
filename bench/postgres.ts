import { rm, writeFile } from 'node:fs/promises';
import { Arena, database, say, type Sample } from './arena.ts';
import { contestants, versionOf, type Contestant } from './contestants.ts';
import type { Flags } from './flags.ts';
import { machineFacts } from './machine.ts';
import { appendRows, updateScattered } from './postgres-data.ts';
import { renderReport } from './postgres-report.ts';
import type { Content } from './same-content.ts';
import { scenarios, type Result, type Scenario } from './scenarios.ts';

/** Everybody does the same, in turn, as many times as asked for; each round starts from the same data. */
export async function benchPostgres(flags: Flags): Promise<void> {
  const wanted = scenariosOf(flags);
  await using arena = await Arena.open(flags.gigabytes, flags.scratch);
  const { chosen, versions } = await installed(flags, arena);
  const results: Result[] = [];
  const expected = await arena.content();
  for (let round = 1; round <= flags.runs; round += 1) {
    if (round > 1) await arena.resetData();
    results.push(...(await new Round(arena, flags, chosen, wanted, round).run(expected)));
  }
  const report = {
    schema: 1,
    machine: await machineFacts(arena.scratch),
    versions,
    server: { major: arena.server.major, databaseBytes: arena.databaseBytes, rows: arena.rows },
    runs: flags.runs,
    updates: flags.updates,
    holdfastFlags: jobsFlag(flags),
    contestants: chosen,
    results,
  };
  process.stdout.write(renderReport(report));
  if (flags.json !== undefined) await writeFile(flags.json, `${JSON.stringify(report, null, 2)}\n`);
}

/** A backup must be there to be restored or followed by a second one, so `full` always runs. */
function scenariosOf(flags: Flags): Set<Scenario> {
  const wanted = new Set<Scenario>(['full']);
  for (const name of flags.scenarios) {
    const scenario = scenarios.find((known) => known === name);
    if (scenario === undefined) throw new Error(`--scenarios knows ${scenarios.join(', ')}, not ${name}`);
    wanted.add(scenario);
  }
  return wanted;
}

/** Those of the contestants whose program is there, and what each program says of its version. */
export async function installed(
  flags: Flags,
  arena: Arena,
): Promise<{ chosen: Contestant[]; versions: Record<string, string> }> {
  const versions: Record<string, string> = {};
  const chosen: Contestant[] = [];
  for (const contestant of contestants) {
    const { name, tool } = contestant;
    if (flags.only.length > 0 && tool !== 'holdfast' && !flags.only.some((part) => name.includes(part)))
      continue;
    const version = await versionOf(tool, arena.env);
    versions[tool] = version ?? 'not installed, left out';
    if (version !== undefined) chosen.push(contestant);
    else if (tool === 'holdfast') throw new Error('bin/holdfast --version fails');
  }
  return { chosen, versions };
}

export function jobsFlag(flags: Flags): string[] {
  return flags.jobs.flatMap((jobs) => ['--jobs', jobs]);
}

class Round {
  readonly #arena: Arena;
  readonly #flags: Flags;
  readonly #contestants: readonly Contestant[];
  readonly #wanted: ReadonlySet<Scenario>;
  readonly #round: number;
  readonly #places = new Map<Contestant, string>();
  readonly #results: Result[] = [];

  constructor(
    arena: Arena,
    flags: Flags,
    chosen: readonly Contestant[],
    wanted: ReadonlySet<Scenario>,
    round: number,
  ) {
    this.#arena = arena;
    this.#flags = flags;
    this.#contestants = chosen;
    this.#wanted = wanted;
    this.#round = round;
  }

  async run(expected: Content): Promise<readonly Result[]> {
    for (const contestant of this.#contestants) {
      const place = await this.#arena.newPlace(contestant);
      this.#places.set(contestant, place);
      this.#keep('full', contestant, await this.#arena.backup(contestant, place, this.#flagsOf(contestant)));
    }
    if (this.#wanted.has('restore')) await this.#restoreAll(expected);
    await this.#secondBackups();
    for (const place of this.#places.values()) await rm(place, { recursive: true });
    return this.#results;
  }

  async #restoreAll(expected: Content): Promise<void> {
    for (const [contestant, place] of this.#places) {
      if (contestant.restore === undefined) continue;
      this.#keep(
        'restore',
        contestant,
        await this.#arena.restore(contestant, place, expected, this.#flagsOf(contestant)),
      );
    }
  }

  async #secondBackups(): Promise<void> {
    const { server, rows } = this.#arena;
    const changes = {
      unchanged: async () => {},
      updates: async () =>
        await updateScattered(server, database, rows, {
          count: this.#flags.updates,
          spread: 'rows',
          round: this.#round,
        }),
      append: async () => await appendRows(server, database, rows, 0.01),
    };
    const keepers = [...this.#places].filter(([{ keepsHistory }]) => keepsHistory);
    let changed = false;
    for (const scenario of ['unchanged', 'updates', 'append'] as const) {
      if (!this.#wanted.has(scenario)) continue;
      await changes[scenario]();
      changed = changed || scenario !== 'unchanged';
      for (const [contestant, place] of keepers) {
        this.#keep(
          scenario,
          contestant,
          await this.#arena.backup(contestant, place, this.#flagsOf(contestant)),
        );
      }
    }
    if (changed && this.#round === 1) await this.#checkLast(keepers);
  }

  /** Second backups are figures only if they, too, come back as what was there. */
  async #checkLast(keepers: readonly (readonly [Contestant, string])[]): Promise<void> {
    const expected = await this.#arena.content();
    for (const [contestant, place] of keepers) await this.#arena.restore(contestant, place, expected);
    say('the last backup of everybody who keeps a history restores to what is there now');
  }

  #flagsOf(contestant: Contestant): string[] {
    return contestant.tool === 'holdfast' ? jobsFlag(this.#flags) : [];
  }

  #keep(scenario: Scenario, contestant: Contestant, sample: Sample): void {
    const { name } = contestant;
    this.#results.push({
      scenario,
      contestant: name,
      round: this.#round,
      ...sample,
      stdout: lastLine(sample.stdout),
    });
    const megabytes = Math.round(sample.storedBytes / 1e6);
    say(
      `round ${this.#round}  ${scenario.padEnd(9)} ${name.padEnd(28)} ${sample.wallSeconds.toFixed(2)} s  ${megabytes} MB`,
    );
  }
}

/** Of our own output: the summary. */
function lastLine(text: string): string {
  return text.trimEnd().split('\n').at(-1) ?? '';
}
