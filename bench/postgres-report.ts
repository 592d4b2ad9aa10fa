import type { Contestant } from './contestants.ts';
import type { MachineFacts } from './machine.ts';
import { serverSettings } from './postgres-data.ts';
import type { Result, Scenario } from './scenarios.ts';
import { spreadOf, type Spread } from './statistics.ts';

interface Report {
  readonly machine: MachineFacts;
  readonly versions: Readonly<Record<string, string>>;
  readonly server: { readonly major: number; readonly databaseBytes: number; readonly rows: object };
  readonly runs: number;
  readonly updates: number;
  readonly holdfastFlags: readonly string[];
  readonly contestants: readonly Contestant[];
  readonly results: readonly Result[];
}

const titles: Readonly<Record<Scenario, string>> = {
  full: 'First backup, into a new place',
  restore: 'Restore into a new database (result compared row by row)',
  unchanged: 'Second backup, nothing changed',
  updates: 'Next backup, after scattered updates',
  append: 'Next backup, after 1% more rows',
};

export function renderReport(report: Report): string {
  const parts = [conditions(report)];
  for (const scenario of Object.keys(titles) as Scenario[]) {
    if (report.results.some((result) => result.scenario === scenario))
      parts.push(scenarioTable(report, scenario));
  }
  parts.push(targets(report));
  return `${parts.join('\n')}\n`;
}

function conditions({ machine, versions, server, runs, updates, holdfastFlags }: Report): string {
  const rows = Object.entries(server.rows)
    .map(([table, count]) => `${table} ${count}`)
    .join(', ');
  const settings = Object.entries(serverSettings)
    .map(([name, value]) => `${name} = ${value}`)
    .join(', ');
  return `## Logical PostgreSQL backups

- Machine: ${machine.cores} × ${machine.cpu}, ${gigabytes(machine.memoryBytes)} memory, ${machine.disk}; ${machine.system}
- Data: ${gigabytes(server.databaseBytes)} on disk (${rows}), all of it in memory before each round;
  ${updates} rows updated at random, then 1% more rows
- Server: PostgreSQL ${server.major} on the same processors, data checksums, ${settings}
- Tools: Node ${machine.node.slice(1)}; ${Object.values(versions).join('; ')}
- Runs of each, in turn: ${runs}; median (min–max). CPU: user and system time of the whole process tree, the server's apart.
  Peak memory: resident memory of the process tree, the server's apart. MB and GB are 10^6 and 10^9 bytes.${
    holdfastFlags.length === 0 ? '' : `\n- holdfast ran with ${holdfastFlags.join(' ')}`
  }
`;
}

function scenarioTable(report: Report, scenario: Scenario): string {
  const ours = figures(report, scenario, 'holdfast');
  const lines = report.contestants.flatMap((contestant) => {
    const theirs = figures(report, scenario, contestant.name);
    if (theirs === undefined) return [];
    const ratio =
      ours === undefined || contestant.tool === 'holdfast'
        ? ''
        : `${(ours.wall.median / theirs.wall.median).toFixed(2)} ×`;
    const cells = [
      contestant.name,
      seconds(theirs.wall),
      theirs.cpu.median.toFixed(1),
      theirs.server.median.toFixed(1),
      megabytes(theirs.peak.max),
      ...(scenario === 'restore' ? [] : [contestant.stored === null ? '–' : megabytes(theirs.stored.median)]),
      ratio,
      contestant.settings,
    ];
    return [`| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`];
  });
  const stored = scenario === 'restore' ? '' : ' stored MB |';
  const head = `| tool | seconds | CPU s | server CPU s | peak MB |${stored} holdfast takes | settings |`;
  const rule = `|${' --- |'.repeat(head.split('|').length - 2)}`;
  return `### ${titles[scenario]}\n\n${[head, rule, ...lines].join('\n')}\n`;
}

interface Figures {
  readonly wall: Spread;
  readonly cpu: Spread;
  readonly server: Spread;
  readonly peak: Spread;
  readonly stored: Spread;
}

function figures({ results }: Report, scenario: Scenario, contestant: string): Figures | undefined {
  const own = results.filter((result) => result.scenario === scenario && result.contestant === contestant);
  if (own.length === 0) return undefined;
  return {
    wall: spreadOf(own.map(({ wallSeconds }) => wallSeconds)),
    cpu: spreadOf(own.map(({ cpuSeconds }) => cpuSeconds)),
    server: spreadOf(own.map(({ serverCpuSeconds }) => serverCpuSeconds)),
    peak: spreadOf(own.map(({ peakBytes }) => peakBytes)),
    stored: spreadOf(own.map(({ storedBytes }) => storedBytes)),
  };
}

function targets(report: Report): string {
  const lines = [
    timeTarget(report, 'pg_dump | gzip', 0.25),
    timeTarget(report, 'pg_dump -Fd -j2', 0.7),
    timeTarget(report, 'pg_dump -Fd -j2 -Z1', 0.7),
    storedTarget(report, 'updates', `after ${report.updates} scattered updates`),
    storedTarget(report, 'append', 'after an append of 1%'),
    memoryTarget(report),
  ].filter((line) => line !== undefined);
  return `### Targets\n\n| target | measured | |\n| --- | --- | --- |\n${lines.join('\n')}\n`;
}

function timeTarget(report: Report, peer: string, limit: number): string | undefined {
  const ours = figures(report, 'full', 'holdfast');
  const theirs = figures(report, 'full', peer);
  if (ours === undefined || theirs === undefined) return undefined;
  const name = peer.replace('|', '\\|');
  return verdict(
    `first backup takes ≤ ${limit} × \`${name}\``,
    ours.wall.median / theirs.wall.median,
    limit,
    (value) => `${value.toFixed(2)} ×`,
  );
}

function storedTarget(report: Report, scenario: Scenario, words: string): string | undefined {
  const first = figures(report, 'full', 'holdfast');
  const second = figures(report, scenario, 'holdfast');
  if (first === undefined || second === undefined) return undefined;
  const share = second.stored.median / first.stored.median;
  return verdict(
    `backup ${words} stores ≤ 5% of the first`,
    share,
    0.05,
    (value) => `${(value * 100).toFixed(1)}%`,
  );
}

/** Of the node process with its worker threads; pg_dump, pg_restore and the server apart. */
function memoryTarget({ results }: Report): string | undefined {
  const peaks = results
    .filter(({ contestant }) => contestant === 'holdfast')
    .flatMap(({ programs }) => programs['node']?.peakBytes ?? []);
  if (peaks.length === 0) return undefined;
  return verdict(
    'holdfast itself takes ≤ 512 MiB of memory',
    Math.max(...peaks),
    512 * 1_048_576,
    (value) => `${Math.round(value / 1_048_576)} MiB`,
  );
}

export function verdict(
  words: string,
  value: number,
  limit: number,
  show: (value: number) => string,
): string {
  return `| ${words} | ${show(value)} | ${value <= limit ? 'met' : '**missed**'} |`;
}

function seconds({ median, min, max }: Spread): string {
  return min === max ? median.toFixed(2) : `${median.toFixed(2)} (${min.toFixed(2)}–${max.toFixed(2)})`;
}

export function megabytes(bytes: number): string {
  return bytes < 10e6 ? (bytes / 1e6).toFixed(1) : String(Math.round(bytes / 1e6));
}

export function gigabytes(bytes: number): string {
  return `${(bytes / 1e9).toFixed(bytes < 1e9 ? 2 : 1)} GB`;
}
