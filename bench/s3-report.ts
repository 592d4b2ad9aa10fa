import type { MachineFacts } from './machine.ts';
import { gigabytes, megabytes } from './postgres-report.ts';
import type { RequestCounts, RequestKind } from './s3-gateway.ts';
import type { S3Contestant } from './s3-contestants.ts';
import { spreadOf } from './statistics.ts';

export const s3Scenarios = ['full', 'unchanged', 'changed', 'restore'] as const;
export type S3Scenario = (typeof s3Scenarios)[number];

export interface S3Result {
  readonly scenario: S3Scenario;
  readonly contestant: string;
  /** 0: through what counts; its time says nothing. */
  readonly round: number;
  readonly wallSeconds: number;
  readonly cpuSeconds: number;
  readonly peakBytes: number;
  readonly storedBytes: number;
  readonly requests: RequestCounts;
}

export interface S3DataReport {
  readonly title: string;
  readonly data: string;
  readonly change: string;
  readonly bytes: number;
  readonly results: readonly S3Result[];
}

interface S3Report {
  readonly machine: MachineFacts;
  readonly versions: readonly string[];
  readonly runs: number;
  readonly contestants: readonly S3Contestant[];
  readonly reports: readonly S3DataReport[];
}

export function renderS3Report({ machine, versions, runs, contestants, reports }: S3Report): string {
  const head = `## Object storage

- Machine: ${machine.cores} × ${machine.cpu}, ${gigabytes(machine.memoryBytes)} memory, ${machine.disk}; ${machine.system}
- Gateway: RGW of a Ceph of one machine, everything in memory, over loopback with TLS, on the same processors
- Tools: Node ${machine.node.slice(1)}; ${versions.join('; ')}
- Runs of each, in turn: ${runs}; median (min–max). Requests: of one more run, through a proxy that counts, the same for all.
  Every restored tree is compared with the original. CPU: of the whole process tree, the gateway's apart from it.
${contestants.map(({ name, settings }) => `- ${name}: ${settings}`).join('\n')}
`;
  return `${[head, ...reports.map(renderData)].join('\n')}\n`;
}

function renderData(report: S3DataReport): string {
  const titles: Readonly<Record<S3Scenario, string>> = {
    full: 'first backup',
    unchanged: 'nothing changed',
    changed: report.change,
    restore: 'restore',
  };
  const rows = s3Scenarios.flatMap((scenario) => rowsOf(report, scenario, titles[scenario]));
  return `### ${report.title}: ${report.data}, ${gigabytes(report.bytes)}

| | tool | seconds | CPU s | peak MB | stored MB | requests | PUT, POST | GET | HEAD | LIST | DELETE | holdfast takes |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
${rows.join('\n')}
`;
}

function rowsOf(report: S3DataReport, scenario: S3Scenario, title: string): string[] {
  const of = (name: string): S3Result[] =>
    report.results.filter((result) => result.scenario === scenario && result.contestant === name);
  const timed = (name: string): S3Result[] => of(name).filter(({ round }) => round > 0);
  const names = [...new Set(report.results.map(({ contestant }) => contestant))];
  const seconds = (name: string) => spreadOf(timed(name).map(({ wallSeconds }) => wallSeconds));
  return names
    .filter((name) => timed(name).length > 0)
    .map((name, index) => {
      const { median, min, max } = seconds(name);
      const requests = of(name).find(({ round }) => round === 0)?.requests ?? {};
      const count = (...kinds: RequestKind[]): number =>
        kinds.reduce((sum, kind) => sum + (requests[kind] ?? 0), 0);
      const cells = [
        index === 0 ? title : '',
        name,
        `${median.toFixed(2)} (${min.toFixed(2)}–${max.toFixed(2)})`,
        spreadOf(timed(name).map(({ cpuSeconds }) => cpuSeconds)).median.toFixed(1),
        megabytes(spreadOf(timed(name).map(({ peakBytes }) => peakBytes)).max),
        scenario === 'restore'
          ? ''
          : megabytes(spreadOf(timed(name).map(({ storedBytes }) => storedBytes)).median),
        String(count('PUT', 'POST', 'GET', 'HEAD', 'LIST', 'DELETE')),
        String(count('PUT', 'POST')),
        String(count('GET')),
        String(count('HEAD')),
        String(count('LIST')),
        String(count('DELETE')),
        name === 'holdfast' ? '' : `${(seconds('holdfast').median / median).toFixed(2)} ×`,
      ];
      return `| ${cells.join(' | ')} |`;
    });
}
