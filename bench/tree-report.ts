import type { MachineFacts } from './machine.ts';
import { gigabytes, megabytes, verdict } from './postgres-report.ts';
import { spreadOf, type Spread } from './statistics.ts';

export const treeScenarios = ['full', 'unchanged', 'changed', 'restore'] as const;
export type TreeScenario = (typeof treeScenarios)[number];

export interface TreeResult {
  readonly scenario: TreeScenario;
  readonly contestant: string;
  readonly round: number;
  readonly wallSeconds: number;
  readonly cpuSeconds: number;
  readonly peakBytes: number;
  readonly storedBytes: number;
}

interface DataReport {
  readonly title: string;
  readonly data: string;
  readonly change: string;
  readonly bytes: number;
  readonly results: readonly TreeResult[];
}

interface TreeReport {
  readonly kind: 'files' | 'sqlite';
  readonly machine: MachineFacts;
  readonly versions: readonly string[];
  readonly runs: number;
  readonly reports: readonly DataReport[];
}

export function renderTreeReport({ kind, machine, versions, runs, reports }: TreeReport): string {
  const head = `## ${kind === 'files' ? 'Files' : 'SQLite'}

- Machine: ${machine.cores} × ${machine.cpu}, ${gigabytes(machine.memoryBytes)} memory, ${machine.disk}; ${machine.system}
- Tools: Node ${machine.node.slice(1)}; ${versions.join('; ')}
- Runs of each, in turn: ${runs}; median (min–max). All data in memory before each round, holdfast used once before in another
  repository; every restored tree compared with the original. CPU: user and system time of the whole process tree. Peak: resident memory of the process tree.
`;
  return `${[head, ...reports.map(renderData)].join('\n')}\n`;
}

function renderData(report: DataReport): string {
  const titles: Readonly<Record<TreeScenario, string>> = {
    full: 'first backup',
    unchanged: 'nothing changed',
    changed: report.change,
    restore: 'restore',
  };
  const rows = treeScenarios.flatMap((scenario) => rowsOf(report, scenario, titles[scenario]));
  return `### ${report.title}: ${report.data}, ${gigabytes(report.bytes)}

| | tool | seconds | CPU s | peak MB | stored MB | holdfast takes |
| --- | --- | --- | --- | --- | --- | --- |
${rows.join('\n')}

| target | measured | |
| --- | --- | --- |
${targets(report).join('\n')}
`;
}

function rowsOf(report: DataReport, scenario: TreeScenario, title: string): string[] {
  const names = [...new Set(report.results.map(({ contestant }) => contestant))];
  const ours = wall(report, scenario, 'holdfast');
  return names.map((name, index) => {
    const own = of(report, scenario, name);
    const seconds = spreadOf(own.map(({ wallSeconds }) => wallSeconds));
    const cells = [
      index === 0 ? title : '',
      name,
      secondsText(seconds),
      spreadOf(own.map(({ cpuSeconds }) => cpuSeconds)).median.toFixed(1),
      megabytes(spreadOf(own.map(({ peakBytes }) => peakBytes)).max),
      scenario === 'restore' ? '' : megabytes(spreadOf(own.map(({ storedBytes }) => storedBytes)).median),
      name === 'holdfast' || ours === undefined ? '' : `${(ours.median / seconds.median).toFixed(2)} ×`,
    ];
    return `| ${cells.join(' | ')} |`;
  });
}

function targets(report: DataReport): string[] {
  const ours = report.results.filter(({ contestant }) => contestant === 'holdfast');
  const times = (['full', 'unchanged'] as const).flatMap((scenario) => {
    const mine = wall(report, scenario, 'holdfast');
    const theirs = wall(report, scenario, 'restic');
    if (mine === undefined || theirs === undefined) return [];
    const what = scenario === 'full' ? 'first backup' : 'unchanged run';
    return verdict(
      `${what} takes ≤ 0.8 × restic's time`,
      mine.median / theirs.median,
      0.8,
      (value) => `${value.toFixed(2)} ×`,
    );
  });
  const peak = Math.max(...ours.map(({ peakBytes }) => peakBytes));
  const memory = verdict(
    'memory ≤ 512 MiB',
    peak,
    512 * 1_048_576,
    (v) => `${Math.round(v / 1_048_576)} MiB`,
  );
  return [...times, memory];
}

function of(report: DataReport, scenario: TreeScenario, name: string): TreeResult[] {
  return report.results.filter((result) => result.scenario === scenario && result.contestant === name);
}

function wall(report: DataReport, scenario: TreeScenario, name: string): Spread | undefined {
  const own = of(report, scenario, name).map(({ wallSeconds }) => wallSeconds);
  return own.length === 0 ? undefined : spreadOf(own);
}

function secondsText({ median, min, max }: Spread): string {
  return min === max ? median.toFixed(2) : `${median.toFixed(2)} (${min.toFixed(2)}–${max.toFixed(2)})`;
}
