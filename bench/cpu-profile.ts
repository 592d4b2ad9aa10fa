import { readFile, readdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const checkout = fileURLToPath(new URL('..', import.meta.url));

/** What V8 writes with `--cpu-prof`, as far as it is read here. */
interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
  }[];
  /** Ids of nodes, one a sample. */
  readonly samples: readonly number[];
  /** Microseconds before each sample. */
  readonly timeDeltas: readonly number[];
}

export interface SelfTime {
  readonly frame: string;
  readonly milliseconds: number;
}

export interface ThreadProfile {
  readonly thread: string;
  readonly totalMilliseconds: number;
  /** Without `(idle)`. */
  readonly busyMilliseconds: number;
  /** Longest first. */
  readonly selfTimes: readonly SelfTime[];
}

/** Every thread that left a profile in the directory: `CPU.date.time.pid.thread.number.cpuprofile`, thread 0 the main one. */
export async function readProfiles(directory: string): Promise<ThreadProfile[]> {
  const files = (await readdir(directory)).filter((name) => name.endsWith('.cpuprofile')).toSorted();
  const profiles = files.map(async (name) => {
    const thread = name.split('.').at(-3) ?? '?';
    const profile = JSON.parse(await readFile(join(directory, name), 'utf8')) as CpuProfile;
    return summarise(thread === '0' ? 'main thread' : `worker ${thread}`, profile);
  });
  return await Promise.all(profiles);
}

function summarise(thread: string, { nodes, samples, timeDeltas }: CpuProfile): ThreadProfile {
  const frames = new Map(nodes.map(({ id, callFrame }) => [id, frameName(callFrame)]));
  const micros = new Map<string, number>();
  for (const [index, id] of samples.entries()) {
    const frame = frames.get(id) ?? '?';
    micros.set(frame, (micros.get(frame) ?? 0) + Math.max(0, timeDeltas[index] ?? 0));
  }
  const selfTimes = [...micros]
    .map(([frame, micro]) => ({ frame, milliseconds: micro / 1000 }))
    .toSorted((a, b) => b.milliseconds - a.milliseconds);
  const total = selfTimes.reduce((sum, { milliseconds }) => sum + milliseconds, 0);
  const idle = selfTimes.find(({ frame }) => frame === '(idle)')?.milliseconds ?? 0;
  return { thread, totalMilliseconds: total, busyMilliseconds: total - idle, selfTimes };
}

/** `function file:line`, own files from the checkout on, `(program)` and the like as they are. */
function frameName({ functionName, url, lineNumber }: CpuProfile['nodes'][number]['callFrame']): string {
  const name = functionName === '' ? 'anonymous' : functionName;
  if (url === '') return name;
  const path = url.startsWith('file://')
    ? fileURLToPath(url).replace(checkout, '')
    : url.startsWith('wasm')
      ? basename(url)
      : url;
  return `${name} ${path}:${lineNumber + 1}`;
}
