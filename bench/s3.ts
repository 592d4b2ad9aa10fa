import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { cephUsers } from '../testing/ceph-server.ts';
import { removeWhenInterrupted, say } from './arena.ts';
import { environmentFor, holdfast } from './contestants.ts';
import type { Flags } from './flags.ts';
import { machineFacts, outputOf } from './machine.ts';
import { measure, storedBytes, type Measurement } from './measure.ts';
import { createData, startBenchServer } from './postgres-data.ts';
import { dataDirectoryContestants, treeContestants, type S3Contestant } from './s3-contestants.ts';
import { Gateway } from './s3-gateway.ts';
import { renderS3Report, type S3DataReport, type S3Result, type S3Scenario } from './s3-report.ts';
import { largeFiles, smallFiles } from './tree-data.ts';

const run = promisify(execFile);

interface Subject {
  readonly title: string;
  readonly contestants: readonly S3Contestant[];
  create(directory: string): Promise<string>;
  /** Absent where only backups, unchanged ones and restores are compared. */
  readonly change?: (directory: string, round: number) => string;
  /** What of the restored tree is compared. */
  readonly compared: readonly string[];
}

/** Files and a data directory into a bucket of one gateway: everybody does the same, in turn. */
export async function benchS3(flags: Flags): Promise<void> {
  const scratch = await mkdtemp(join(flags.scratch ?? tmpdir(), 'holdfast-bench-'));
  removeWhenInterrupted(scratch);
  const { contestants, versions } = await installed(flags);
  const reports: S3DataReport[] = [];
  try {
    await using gateway = await Gateway.open(scratch);
    for (const subject of subjects(flags)) {
      const taking = subject.contestants.filter(({ name }) => contestants.some((one) => one.name === name));
      reports.push(await new S3Bench(subject, taking, gateway, scratch, flags).run());
    }
    const machine = await machineFacts(scratch);
    const report = { machine, versions, runs: flags.runs, contestants, reports };
    process.stdout.write(renderS3Report(report));
    if (flags.json !== undefined) await writeFile(flags.json, `${JSON.stringify(report, null, 2)}\n`);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

function subjects({ gigabytes }: Flags): readonly Subject[] {
  const trees = [smallFiles(gigabytes / 2), largeFiles(gigabytes / 2)].map(({ title, create, change }) => ({
    title,
    change,
    create: (directory: string) => Promise.resolve(create(directory)),
    contestants: treeContestants,
    compared: ['.'],
  }));
  return [
    ...trees,
    {
      title: 'A data directory',
      contestants: dataDirectoryContestants,
      create: (directory) => copyOfServer(directory, gigabytes),
      // Of the rest some is not to be backed up, or is written by who restores.
      compared: ['base', 'global', 'pg_xact'],
    },
  ];
}

async function copyOfServer(directory: string, gigabytes: number): Promise<string> {
  await using server = await startBenchServer();
  await createData(server, 'shop', gigabytes);
  await server.psql('CHECKPOINT');
  await cp(server.dataDirectory, directory, { recursive: true });
  await rm(join(directory, 'postmaster.pid'));
  return `PostgreSQL ${server.major}, not running`;
}

async function installed({
  only,
}: Flags): Promise<{ contestants: readonly S3Contestant[]; versions: readonly string[] }> {
  const questions = {
    holdfast: [holdfast, '--version'],
    restic: ['restic', 'version'],
    pgbackrest: ['pgbackrest', 'version'],
  } as const;
  const versions: string[] = [];
  const contestants: S3Contestant[] = [];
  for (const contestant of dataDirectoryContestants) {
    const { name, tool } = contestant;
    if (only.length > 0 && tool !== 'holdfast' && !only.some((part) => name.includes(part))) continue;
    const [program, ...args] = questions[tool];
    const version = /\d+(?:\.\d+)+/.exec((await outputOf(program, args)) ?? '')?.[0];
    versions.push(version === undefined ? `${tool}: not installed, left out` : `${tool} ${version}`);
    if (version !== undefined) contestants.push(contestant);
  }
  versions.push(/ceph version \S+/.exec((await outputOf('ceph', ['--version'])) ?? '')?.[0] ?? 'ceph');
  return { contestants, versions };
}

class S3Bench {
  readonly #subject: Subject;
  readonly #contestants: readonly S3Contestant[];
  readonly #gateway: Gateway;
  readonly #scratch: string;
  readonly #flags: Flags;
  readonly #results: S3Result[] = [];

  constructor(
    subject: Subject,
    contestants: readonly S3Contestant[],
    gateway: Gateway,
    scratch: string,
    flags: Flags,
  ) {
    this.#subject = subject;
    this.#contestants = contestants;
    this.#gateway = gateway;
    this.#scratch = scratch;
    this.#flags = flags;
  }

  async run(): Promise<S3DataReport> {
    const directory = await mkdtemp(join(this.#scratch, 'data-'));
    const data = await this.#subject.create(directory);
    const bytes = await storedBytes(directory);
    say(`${this.#subject.title}: ${data}, ${Math.round(bytes / 1e6)} MB`);
    let change = '';
    for (let round = 0; round <= this.#flags.runs; round += 1) change = await this.#round(directory, round);
    await rm(directory, { recursive: true, force: true });
    return { title: this.#subject.title, data, change, bytes, results: this.#results };
  }

  /** Round 0 goes through what counts, and is not timed. */
  async #round(data: string, round: number): Promise<string> {
    const port = round === 0 ? this.#gateway.countingPort : this.#gateway.port;
    const places: Place[] = [];
    for (const contestant of this.#contestants) places.push(await this.#newPlace(contestant, data, port));
    await run('/bin/bash', ['-c', 'find "$0" -type f -exec cat {} + >/dev/null; sync; sleep 3', data]);
    for (const place of places) await this.#backup('full', place, round);
    for (const place of places) await this.#backup('unchanged', place, round);
    for (const place of places) await this.#restore(place, data, round);
    const change = this.#subject.change?.(data, round) ?? '';
    if (change !== '') {
      await run('/bin/bash', ['-c', 'sync; sleep 3']);
      for (const place of places) await this.#backup('changed', place, round);
      for (const place of places) await this.#restore(place, data, -1);
    }
    for (const { path, bucket } of places) {
      await this.#gateway.empty(bucket);
      await rm(path, { recursive: true, force: true });
    }
    return change;
  }

  async #newPlace(contestant: S3Contestant, data: string, port: number): Promise<Place> {
    const path = await mkdtemp(join(this.#scratch, 'place-'));
    await mkdir(join(path, 'tmp'));
    const bucket = `bench-${randomBytes(6).toString('hex')}`;
    await this.#gateway.makeBucket(bucket);
    const { accessKeyId, secretAccessKey } = cephUsers.owner;
    const endpoint = `https://127.0.0.1:${port}`;
    const env = {
      PATH: process.env['PATH'] ?? '/usr/bin:/bin',
      LC_ALL: 'C.UTF-8',
      AWS_ACCESS_KEY_ID: accessKeyId,
      AWS_SECRET_ACCESS_KEY: secretAccessKey,
      ...environmentFor(path, {}),
      TMPDIR: join(path, 'tmp'),
      DATA: data,
      TARGET: join(path, 'restored'),
      BUCKET: bucket,
      S3_PORT: String(port),
      CERTIFICATE: this.#gateway.certificate,
      HOLDFAST_REPOSITORY: `s3://${bucket}/repo`,
      HOLDFAST_S3_ENDPOINT: endpoint,
      HOLDFAST_S3_CA_FILE: this.#gateway.certificate,
      RESTIC_REPOSITORY: `s3:${endpoint}/${bucket}/repo`,
    };
    if (contestant.prepare !== undefined)
      await run('/bin/bash', ['-c', contestant.prepare], { cwd: path, env });
    return { contestant, path, bucket, env };
  }

  async #backup(scenario: S3Scenario, place: Place, round: number): Promise<void> {
    const { contestant, bucket } = place;
    const before = await this.#gateway.storedBytes(bucket);
    const command = scenario === 'full' ? contestant.backup : (contestant.again ?? contestant.backup);
    const measured = await this.#measure(command, place);
    this.#keep(scenario, place, round, measured, (await this.#gateway.storedBytes(bucket)) - before);
  }

  /** A time is believed only for a result that is right. Round -1 is only compared. */
  async #restore(place: Place, data: string, round: number): Promise<void> {
    const measured = await this.#measure(place.contestant.restore, place);
    if (round >= 0) this.#keep('restore', place, round, measured, 0);
    const target = join(place.path, 'restored');
    for (const part of this.#subject.compared)
      await run('diff', ['-r', '--no-dereference', join(data, part), join(target, part)], { maxBuffer: 1e6 });
    await rm(target, { recursive: true, force: true });
  }

  async #measure(command: string, { path, env }: Place): Promise<Measurement> {
    await outputOf('sync', []);
    this.#gateway.countsSince();
    return await measure(command, { env, cwd: path });
  }

  #keep(
    scenario: S3Scenario,
    { contestant: { name } }: Place,
    round: number,
    { wallSeconds, cpuSeconds, peakBytes }: Measurement,
    stored: number,
  ): void {
    const requests = this.#gateway.countsSince();
    this.#results.push({
      scenario,
      contestant: name,
      round,
      wallSeconds,
      cpuSeconds,
      peakBytes,
      storedBytes: stored,
      requests,
    });
    const counted = round === 0 ? JSON.stringify(requests) : '';
    say(
      `round ${round}  ${scenario.padEnd(9)} ${name.padEnd(10)} ${wallSeconds.toFixed(2)} s  ${(stored / 1e6).toFixed(1)} MB  ${counted}`,
    );
  }
}

interface Place {
  readonly contestant: S3Contestant;
  readonly path: string;
  readonly bucket: string;
  readonly env: NodeJS.ProcessEnv;
}
