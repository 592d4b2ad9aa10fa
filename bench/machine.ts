import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { availableParallelism, cpus, totalmem, release } from 'node:os';
import { promisify } from 'node:util';

const run = promisify(execFile);

export interface MachineFacts {
  readonly cores: number;
  readonly cpu: string;
  readonly memoryBytes: number;
  readonly disk: string;
  readonly system: string;
  readonly node: string;
}

/** `scratch`: the directory whose disk is meant. */
export async function machineFacts(scratch: string): Promise<MachineFacts> {
  return {
    cores: availableParallelism(),
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    memoryBytes: totalmem(),
    disk: await diskOf(scratch),
    system: `${nameOfSystem()}, kernel ${release()}`,
    node: process.version,
  };
}

function nameOfSystem(): string {
  try {
    return /^PRETTY_NAME="?([^"\n]+)/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1] ?? process.platform;
  } catch {
    return process.platform; // it has no such file
  }
}

/** Such as `ext4 on sda (solid state)`; a virtual disk says nothing of what is below it. */
async function diskOf(path: string): Promise<string> {
  const table = await outputOf('df', ['--output=source,fstype', path]);
  const [source, type] = table?.trim().split('\n').at(-1)?.split(/\s+/) ?? [];
  if (source === undefined) return 'unknown';
  const device = source.replace('/dev/', '');
  if (/^x?vd/.test(device)) return `${type} on ${device} (virtual disk)`;
  const rotational = (await outputOf('lsblk', ['-nrdo', 'ROTA', source]))?.trim();
  const kind =
    new Map([
      ['0', ' (solid state)'],
      ['1', ' (rotating)'],
    ]).get(rotational ?? '') ?? '';
  return `${type} on ${device}${kind}`;
}

/** Undefined when the program is not there or fails. */
export async function outputOf(
  program: string,
  args: readonly string[],
  env?: NodeJS.ProcessEnv,
): Promise<string | undefined> {
  try {
    const { stdout, stderr } = await run(program, args, {
      ...(env === undefined ? {} : { env }),
      encoding: 'utf8',
    });
    return stdout === '' ? stderr : stdout;
  } catch {
    return undefined; // that is the answer
  }
}
