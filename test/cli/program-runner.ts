import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { tempDirectory } from '../../testing/temp.ts';

/** Whatever JSON holds; tests look at what they expect of it. */
// oxlint-disable-next-line typescript/no-explicit-any
export type Json = Record<string, any>;

export interface Ran {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  /** Standard output as one JSON object. */
  json(): Json;
  /** Standard output as lines of JSON. */
  lines(): Json[];
}

export interface Running {
  readonly pid: number;
  readonly done: Promise<Ran>;
  /** Resolves when standard output or standard error has held `text`, with all of both so far. */
  sees(text: string | RegExp): Promise<string>;
  kill(signal: NodeJS.Signals): void;
}

/** The real program in a home directory and current directory of its own. */
export interface Sandbox extends AsyncDisposable {
  readonly path: string;
  readonly home: string;
  at(...names: string[]): string;
  run(args: readonly string[], options?: RunOptions): Promise<Ran>;
  start(args: readonly string[], options?: RunOptions): Running;
}

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly input?: string;
  /** Command words in front of the program's own: a shell that sets limits, for instance. */
  readonly wrapper?: readonly string[];
  /** Keys are made at the cost that users pay, which `testing/quick-keys.cjs` lowers otherwise. */
  readonly usualKeys?: boolean;
  /** Killed after that long; a minute unless given. */
  readonly limitMs?: number;
}

const main = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));
/** What the program compiles is kept from one start to the next, though every sandbox has a home of its own. */
const compiled = fileURLToPath(new URL('../../node_modules/.cache/holdfast-tests', import.meta.url));
const quickKeys = fileURLToPath(new URL('../../testing/quick-keys.cjs', import.meta.url));
const defaultLimitMs = 60_000;

export function ranWith(code: number | null, stdout: string, stderr: string): Ran {
  return {
    code,
    stdout,
    stderr,
    json: () => JSON.parse(stdout) as Json,
    lines: () =>
      stdout
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line) as Json),
  };
}

export async function sandbox(): Promise<Sandbox> {
  const directory = await tempDirectory('holdfast-cli-');
  const home = join(directory.path, 'home');
  const start = (args: readonly string[], options: RunOptions = {}): Running => {
    const flags = ['--disable-warning=ExperimentalWarning'];
    if (args[0] === 'init' && options.usualKeys !== true) flags.push('--require', quickKeys);
    const program = [process.execPath, ...flags, main, ...args];
    const [command = '', ...words] = [...(options.wrapper ?? []), ...program];
    const child = spawn(command, words, {
      cwd: options.cwd ?? directory.path,
      // Nothing of the machine's own settings: PG*, DATABASE_URL, HOLDFAST_*, XDG_*.
      env: {
        PATH: process.env['PATH'] ?? '',
        HOME: home,
        LC_ALL: 'C.UTF-8',
        NODE_COMPILE_CACHE: compiled,
        ...options.env,
      },
      stdio: ['pipe', 'pipe', 'pipe'],
      timeout: options.limitMs ?? defaultLimitMs,
      killSignal: 'SIGKILL',
    });
    child.stdin.end(options.input ?? '');
    let stdout = '';
    let stderr = '';
    const watchers = new Set<() => void>();
    const lookAgain = (): void => {
      for (const watch of watchers) watch();
    };
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
      lookAgain();
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
      lookAgain();
    });
    const done = new Promise<Ran>((resolve, reject) => {
      child.on('error', reject);
      child.on('close', (code) => {
        resolve(ranWith(code, stdout, stderr));
      });
    });
    return {
      pid: child.pid ?? 0,
      done,
      kill: (signal) => child.kill(signal),
      sees: (text) =>
        new Promise((resolve, reject) => {
          const watch = (): void => {
            const seen = (output: string): boolean =>
              typeof text === 'string' ? output.includes(text) : text.test(output);
            if (!seen(stderr) && !seen(stdout)) return;
            watchers.delete(watch);
            resolve(stdout + stderr);
          };
          watchers.add(watch);
          watch();
          void done.then(
            () => reject(new Error(`it ended without saying ${String(text)}: ${stdout}${stderr}`)),
            reject,
          );
        }),
    };
  };
  return {
    path: directory.path,
    home,
    at: (...names) => join(directory.path, ...names),
    start,
    run: (args, options) => start(args, options).done,
    [Symbol.asyncDispose]: () => directory[Symbol.asyncDispose](),
  };
}
