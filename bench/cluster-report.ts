import type { ClusterContestant } from './cluster-contestants.ts';
import type { MachineFacts } from './machine.ts';
import { gigabytes, megabytes, verdict } from './postgres-report.ts';
import { spreadOf, type Spread } from './statistics.ts';

export const clusterScenarios = ['full', 'restore', 'increment', 'restore of the increment'] as const;
export type ClusterScenario = (typeof clusterScenarios)[number];

export interface ClusterResult {
  readonly scenario: ClusterScenario;
  readonly contestant: string;
  readonly round: number;
  readonly wallSeconds: number;
  readonly cpuSeconds: number;
  readonly serverCpuSeconds: number;
  readonly peakBytes: number;
  readonly storedBytes: number;
}

export interface ClusterReport {
  readonly machine: MachineFacts;
  readonly versions: readonly string[];
  /** Of all databases together. */
  readonly bytes: number;
  readonly runs: number;
  readonly updates: number;
  readonly contestants: readonly ClusterContestant[];
  readonly results: readonly ClusterResult[];
}

export function renderClusterReport(report: ClusterReport): string {
  const { machine, versions, bytes, runs, updates, contestants } = report;
  const rows = clusterScenarios.flatMap((scenario) => rowsOf(report, scenario));
  return `## A PostgreSQL cluster of ${gigabytes(bytes)}

- Machine: ${machine.cores} × ${machine.cpu}, ${gigabytes(machine.memoryBytes)} memory, ${machine.disk}; ${machine.system}
- Tools: Node ${machine.node.slice(1)}; ${versions.join('; ')}
- Runs of each, in turn: ${runs}; median (min–max). Files in memory before each round; increments after ${updates} updates of rows
  at random; every restored cluster started and compared with the original. CPU: of the whole process tree, and of the server
  meanwhile. Peak: resident memory of the process tree.
${contestants.map(({ name, settings }) => `- ${name}: ${settings}`).join('\n')}

| | tool | seconds | CPU s | server CPU s | peak MB | stored MB | holdfast takes |
| --- | --- | --- | --- | --- | --- | --- | --- |
${rows.join('\n')}

| target | measured | |
| --- | --- | --- |
${targets(report).join('\n')}
`;
}

function rowsOf(report: ClusterReport, scenario: ClusterScenario): string[] {
  const names = report.contestants.map(({ name }) => name);
  const ours = wall(report, scenario, 'holdfast');
  return names.flatMap((name) => {
    const own = of(report, scenario, name);
    if (own.length === 0) return [];
    const seconds = spreadOf(own.map(({ wallSeconds }) => wallSeconds));
    const median = (pick: (result: ClusterResult) => number): number => spreadOf(own.map(pick)).median;
    const cells = [
      name === names[0] ? scenario : '',
      name,
      secondsText(seconds),
      median(({ cpuSeconds }) => cpuSeconds).toFixed(1),
      median(({ serverCpuSeconds }) => serverCpuSeconds).toFixed(1),
      megabytes(spreadOf(own.map(({ peakBytes }) => peakBytes)).max),
      scenario.startsWith('restore') ? '' : megabytes(median(({ storedBytes }) => storedBytes)),
      name === 'holdfast' || ours === undefined ? '' : `${(ours.median / seconds.median).toFixed(2)} ×`,
    ];
    return [`| ${cells.join(' | ')} |`];
  });
}

function targets(report: ClusterReport): string[] {
  const seconds = (scenario: ClusterScenario, name: string): number =>
    wall(report, scenario, name)?.median ?? Number.NaN;
  const stored = (name: string): number => {
    const own = of(report, 'increment', name);
    return own.length === 0 ? Number.NaN : spreadOf(own.map(({ storedBytes }) => storedBytes)).median;
  };
  const least = (...values: number[]): number => {
    const known = values.filter((value) => !Number.isNaN(value));
    return known.length === 0 ? Number.NaN : Math.min(...known);
  };
  const times = (value: number): string => `${value.toFixed(2)} ×`;
  const peers = ['pgBackRest', 'restic'];
  const rows: readonly (readonly [string, number, number])[] = [
    ["full ≤ 0.75 × pgBackRest's time", seconds('full', 'holdfast') / seconds('full', 'pgBackRest'), 0.75],
    [
      "increment ≤ 0.25 × the faster peer's time",
      seconds('increment', 'holdfast') / least(...peers.map((name) => seconds('increment', name))),
      0.25,
    ],
    ["increment ≤ 0.5 × the leaner peer's bytes", stored('holdfast') / least(...peers.map(stored)), 0.5],
    [
      "restore ≤ 0.7 × the faster peer's time",
      seconds('restore', 'holdfast') / least(...peers.map((name) => seconds('restore', name))),
      0.7,
    ],
  ];
  const peak = Math.max(
    ...report.results
      .filter(({ contestant }) => contestant.startsWith('holdfast'))
      .map(({ peakBytes }) => peakBytes),
  );
  const memory = verdict(
    'memory ≤ 512 MiB',
    peak,
    512 * 1_048_576,
    (v) => `${Math.round(v / 1_048_576)} MiB`,
  );
  return [
    ...rows.flatMap(([what, value, limit]) =>
      Number.isFinite(value) ? verdict(what, value, limit, times) : [],
    ),
    memory,
  ].flat();
}

function of(report: ClusterReport, scenario: ClusterScenario, name: string): ClusterResult[] {
  return report.results.filter((result) => result.scenario === scenario && result.contestant === name);
}

function wall(report: ClusterReport, scenario: ClusterScenario, name: string): Spread | undefined {
  const own = of(report, scenario, name).map(({ wallSeconds }) => wallSeconds);
  return own.length === 0 ? undefined : spreadOf(own);
}

function secondsText({ median, min, max }: Spread): string {
  return min === max ? median.toFixed(2) : `${median.toFixed(2)} (${min.toFixed(2)}–${max.toFixed(2)})`;
}
