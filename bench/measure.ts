import { spawn } from 'node:child_process';
import { readFileSync, readdirSync, readlinkSync } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';

const ticksPerSecond = 100;
const keptOutputCharacters = 4_000_000;

/** What one program of a process tree used; children of it are counted apart. */
export interface ProgramUse {
  /** The greatest VmHWM of a process that ran this program. */
  peakBytes: number;
  /** User and system time as last seen: up to one sampling interval a process is missing. */
  cpuSeconds: number;
  processes: number;
}

export interface Measurement {
  readonly wallSeconds: number;
  /** User and system time of the whole tree, exact, from the shell's own books. */
  readonly cpuSeconds: number;
  /** The greatest sum of resident memory over the tree at one instant; pages shared by two processes count twice. */
  readonly peakBytes: number;
  /** By the name of the executable: `node`, `pg_dump`, `restic` … */
  readonly programs: Readonly<Record<string, ProgramUse>>;
  readonly stdout: string;
}

export interface MeasureOptions {
  readonly env: NodeJS.ProcessEnv;
  readonly cwd: string;
  readonly sampleMs?: number;
}

/**
 * Runs a bash command (a pipeline fails when any part of it does) and measures its whole process tree. Rejects with the
 * end of its standard error when it fails. Memory and the split by program come from /proc, so they need Linux.
 */
export async function measure(command: string, options: MeasureOptions): Promise<Measurement> {
  const script = `set -o pipefail\n{ ${command}\n}\ncode=$?\ntimes >&3\nexit $code`;
  const begun = performance.now();
  const child = spawn('/bin/bash', ['-c', script], {
    cwd: options.cwd,
    env: options.env,
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
  });
  const sampler = new TreeSampler(child.pid ?? 0);
  const timer = setInterval(() => sampler.sample(), options.sampleMs ?? 50);
  const outputs = ['', '', ''];
  for (const [index, fd] of [1, 2, 3].entries()) {
    const stream = child.stdio[fd] as NodeJS.ReadableStream;
    stream.setEncoding('utf8').on('data', (text: string) => {
      outputs[index] = `${outputs[index]}${text}`.slice(-keptOutputCharacters);
    });
  }
  const [stdout, stderr, times] = await new Promise<string[]>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => {
      clearInterval(timer);
      if (code === 0) resolve(outputs);
      else reject(new Error(`${command}\nended with ${code ?? signal}:\n${outputs[1]?.slice(-3000)}`));
    });
  });
  const wallSeconds = (performance.now() - begun) / 1000;
  if (stderr === undefined || stdout === undefined) throw new Error('no output was kept');
  return { wallSeconds, cpuSeconds: sumOfTimes(times ?? ''), ...sampler.result(), stdout };
}

/** Bash's `times`: two lines of `0m1.234s 0m0.456s`, of the shell and of its children. */
function sumOfTimes(text: string): number {
  const found = [...text.matchAll(/(\d+)m([\d.]+)s/g)];
  if (found.length !== 4) throw new Error(`cannot read the times of the shell: ${text}`);
  return found.reduce((sum, [, minutes, seconds]) => sum + Number(minutes) * 60 + Number(seconds), 0);
}

class TreeSampler {
  readonly #root: number;
  readonly #seen = new Map<number, { program: string; peakBytes: number; cpuSeconds: number }>();
  #peakBytes = 0;

  constructor(root: number) {
    this.#root = root;
  }

  sample(): void {
    let sum = 0;
    for (const pid of treeOf(this.#root)) {
      const memory = memoryOf(pid);
      const program = programOf(pid);
      if (memory === undefined || program === undefined) continue;
      sum += memory.nowBytes;
      const { ownTicks } = ticksOf(pid) ?? { ownTicks: 0 };
      this.#seen.set(pid, { program, peakBytes: memory.peakBytes, cpuSeconds: ownTicks / ticksPerSecond });
    }
    this.#peakBytes = Math.max(this.#peakBytes, sum);
  }

  result(): { peakBytes: number; programs: Record<string, ProgramUse> } {
    const programs: Record<string, ProgramUse> = {};
    for (const { program, peakBytes, cpuSeconds } of this.#seen.values()) {
      const use = (programs[program] ??= { peakBytes: 0, cpuSeconds: 0, processes: 0 });
      use.peakBytes = Math.max(use.peakBytes, peakBytes);
      use.cpuSeconds += cpuSeconds;
      use.processes += 1;
    }
    return { peakBytes: this.#peakBytes, programs };
  }
}

/** The process and all below it. */
function treeOf(root: number): number[] {
  const found = [root];
  for (let index = 0; index < found.length; index += 1) found.push(...childrenOf(found[index] ?? 0));
  return found;
}

/** A process that ended meanwhile has none. */
function childrenOf(pid: number): number[] {
  return (
    ifThere(() =>
      readdirSync(`/proc/${pid}/task`).flatMap((thread) =>
        readFileSync(`/proc/${pid}/task/${thread}/children`, 'utf8').split(' ').filter(Boolean).map(Number),
      ),
    ) ?? []
  );
}

function memoryOf(pid: number): { nowBytes: number; peakBytes: number } | undefined {
  return ifThere(() => {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    const kibibytes = (name: string): number =>
      Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? 0);
    return { nowBytes: kibibytes('VmRSS') * 1024, peakBytes: kibibytes('VmHWM') * 1024 };
  });
}

function programOf(pid: number): string | undefined {
  return ifThere(() => basename(readlinkSync(`/proc/${pid}/exe`)));
}

function ticksOf(pid: number): { ownTicks: number; reapedTicks: number } | undefined {
  return ifThere(() => {
    const line = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // After the name in parentheses, which may hold anything: state is field 3, utime 14 … cstime 17.
    const fields = line
      .slice(line.lastIndexOf(')') + 2)
      .split(' ')
      .map(Number);
    const at = (field: number): number => fields[field - 3] ?? 0;
    return { ownTicks: at(14) + at(15), reapedTicks: at(16) + at(17) };
  });
}

/** Processor time of a server and everything it has started since it runs, finished or not. */
export function serverCpuSeconds(postmaster: number): number {
  const own = ticksOf(postmaster) ?? { ownTicks: 0, reapedTicks: 0 };
  const live = childrenOf(postmaster).reduce((sum, pid) => sum + (ticksOf(pid)?.ownTicks ?? 0), 0);
  return (own.ownTicks + own.reapedTicks + live) / ticksPerSecond;
}

/** Undefined when the process is gone (or not ours to look at): a sample is then simply missing. */
function ifThere<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ESRCH' || code === 'EACCES' || code === 'EPERM') return undefined;
    throw error;
  }
}

/** Sum of the sizes of all files below a directory, or the size of a file. */
export async function storedBytes(path: string): Promise<number> {
  const found = await stat(path);
  if (!found.isDirectory()) return found.size;
  const names = await readdir(path, { recursive: true, withFileTypes: true });
  let sum = 0;
  for (const entry of names) if (entry.isFile()) sum += (await stat(join(entry.parentPath, entry.name))).size;
  return sum;
}
