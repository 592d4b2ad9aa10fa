import { readFile } from 'node:fs/promises';
import { dirname, isAbsolute, join, relative, resolve } from 'node:path';
import { parseEnv } from 'node:util';
import type { Config } from '../contract/config.ts';
import type { CodeSettings } from '../contract/config-code.ts';
import type { Variable, Variables } from '../contract/config-environment.ts';
import type { Origins } from '../contract/config-layer.ts';
import { parseConfig, type FlagSetting, type ParsedConfig } from '../contract/config-parse.ts';
import { failure, HoldfastError, isFailure } from '../kernel/errors/failure.ts';
import type { Machine } from './machine.ts';
import { unreadable } from './unreadable.ts';

/** The configuration as it holds for one command, and where it is from. */
export interface Settings {
  readonly config: Config;
  readonly origins: Origins;
  readonly unknownVariables: ParsedConfig['unknownVariables'];
  /** Absolute; null when there is none. */
  readonly file: string | null;
  /** What is in that file. */
  readonly text: string | null;
  readonly dotenvFiles: readonly string[];
  /** The environment with `.env` below it. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Whether anybody named a repository, or the default place is meant. */
  readonly repositoryNamed: boolean;
}

export interface SettingsRequest {
  /** As given with `--config`. */
  readonly configFile?: string | undefined;
  readonly flags?: readonly FlagSetting[];
  /** Settings of the program that calls; they count before all others. */
  readonly code?: CodeSettings | undefined;
}

/**
 * Finds and reads the configuration file, `.env` and the environment.
 * Throws the coded errors of `kernel/errors/config.ts`.
 */
export async function loadSettings(
  request: SettingsRequest,
  machine: Pick<Machine, 'env' | 'cwd' | 'home'>,
): Promise<Settings> {
  const { cwd, home } = machine;
  const beside = await readDotenv(join(cwd, '.env'), machine);
  const named = request.configFile ?? machine.env['HOLDFAST_CONFIG'] ?? beside?.get('HOLDFAST_CONFIG')?.value;
  const file =
    named === undefined || named === '' ? await findFile(cwd) : await readNamed(resolve(cwd, named), machine);
  const directory = file === null ? cwd : dirname(file.path);
  // A .env of the current directory counts only where the configuration is of this directory, or named by that .env:
  // elsewhere it could be anybody's, and it may name commands to run.
  const byDotenv = request.configFile === undefined && machine.env['HOLDFAST_CONFIG'] === undefined;
  const own = directory === cwd ? beside : await readDotenv(join(directory, '.env'), machine);
  const dotenvs = [own, byDotenv && directory !== cwd ? beside : undefined].filter(
    (one) => one !== undefined,
  );
  const variables = mergeVariables(machine.env, dotenvs);
  const parsed = parseConfig({
    file: file === null ? null : { name: shown(file.path, cwd), text: file.text, directory },
    variables,
    flags: request.flags ?? [],
    code: request.code,
    cwd,
    home,
  });
  return {
    ...parsed,
    file: file?.path ?? null,
    text: file?.text ?? null,
    dotenvFiles: [
      ...new Set(
        dotenvs.flatMap((one) => [...one.values()].map((variable) => resolve(cwd, variable.file ?? ''))),
      ),
    ],
    env: Object.fromEntries(Array.from(variables, ([name, { value }]) => [name, value])),
    repositoryNamed: parsed.origins.exact(['repository']) !== undefined,
  };
}

/**
 * The error about a place that has no repository. In a directory without a configuration, where nobody named one, it is
 * most often only the wrong directory, and the hint says so.
 */
export function withoutConfiguration(
  { file, repositoryNamed }: Settings,
  cwd: string,
  error: unknown,
): unknown {
  if (file !== null || repositoryNamed) return error;
  if (!isFailure(error, 'storage_missing') && !isFailure(error, 'repository_missing')) return error;
  const hint = `there is no holdfast.yaml in ${cwd} and nothing names the repository: go to the directory of the configuration, name it with --config FILE or HOLDFAST_CONFIG, or name the repository with --repo; only where there has never been one: holdfast init`;
  return new HoldfastError(error.errorName, error.message, hint, { cause: error });
}

interface FoundFile {
  readonly path: string;
  readonly text: string;
}

async function findFile(cwd: string): Promise<FoundFile | null> {
  const found: FoundFile[] = [];
  for (const name of ['holdfast.yaml', 'holdfast.yml']) {
    const path = join(cwd, name);
    const text = await readIfThere(path);
    if (text !== undefined) found.push({ path, text });
  }
  const [first, second] = found;
  if (first !== undefined && second !== undefined) {
    throw failure('config_two_files', { first: shown(first.path, cwd), second: shown(second.path, cwd) });
  }
  return first ?? null;
}

async function readNamed(path: string, machine: Pick<Machine, 'cwd'>): Promise<FoundFile> {
  const text = await readIfThere(path);
  if (text === undefined) throw failure('config_missing', { path: shown(path, machine.cwd) });
  return { path, text };
}

async function readDotenv(
  path: string,
  machine: Pick<Machine, 'cwd'>,
): Promise<Map<string, Variable> | undefined> {
  const text = await readIfThere(path);
  if (text === undefined) return undefined;
  const file = shown(path, machine.cwd);
  if (text.includes('\0')) throw failure('dotenv_syntax', { path: file, reason: 'it holds a zero byte' });
  return new Map(Object.entries(parseEnv(text)).map(([name, value]) => [name, { value: value ?? '', file }]));
}

/** Undefined when there is no such file; any other trouble is `config_unreadable`. */
async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw await unreadable(path, error);
  }
}

function mergeVariables(env: Machine['env'], dotenvs: readonly Variables[]): Variables {
  const merged = new Map<string, Variable>();
  for (const [name, value] of Object.entries(env))
    if (value !== undefined) merged.set(name, { value, file: undefined });
  for (const dotenv of dotenvs) {
    for (const [name, variable] of dotenv) if (!merged.has(name)) merged.set(name, variable);
  }
  return merged;
}

/** Relative where that is shorter to read. */
function shown(path: string, cwd: string): string {
  const short = relative(cwd, path);
  return short.startsWith('..') || isAbsolute(short) ? path : short;
}
