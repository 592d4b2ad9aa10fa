import { execFile } from 'node:child_process';
import type { GitInfo } from '../contract/manifest.ts';

const limitMs = 5000;

/**
 * Branch, commit and whether tracked files are changed, of the work tree that `cwd` is in. Null where there is none,
 * no commit yet, no git, or no answer in time: a backup must not fail for want of it.
 */
export async function gitInfo(cwd: string, signal: AbortSignal): Promise<GitInfo | null> {
  const text = await run(['status', '--porcelain=v2', '--branch', '--untracked-files=no'], cwd, signal);
  if (text === undefined) return null;
  const lines = text.split('\n');
  const header = (name: string): string | undefined =>
    lines.find((line) => line.startsWith(`# branch.${name} `))?.slice(`# branch.${name} `.length);
  const commit = header('oid');
  if (commit === undefined || !/^[0-9a-f]{40,64}$/.test(commit)) return null;
  const branch = header('head');
  return {
    branch: branch === undefined || branch === '(detached)' ? null : branch,
    commit,
    dirty: lines.some((line) => line !== '' && !line.startsWith('#')),
  };
}

function run(args: readonly string[], cwd: string, signal: AbortSignal): Promise<string | undefined> {
  // Reading only: no locks, no prompts, none of the programs that the repository's own configuration may name.
  const env = {
    PATH: process.env['PATH'] ?? '',
    HOME: process.env['HOME'] ?? '',
    LC_ALL: 'C',
    GIT_OPTIONAL_LOCKS: '0',
    GIT_TERMINAL_PROMPT: '0',
  };
  const safe = ['-c', 'core.fsmonitor=false', '-c', 'core.hooksPath=/dev/null', ...args];
  const options = {
    cwd,
    env,
    timeout: limitMs,
    killSignal: 'SIGKILL' as const,
    maxBuffer: 16 * 2 ** 20,
    signal,
  };
  return new Promise((resolve) => {
    execFile('git', safe, options, (error, stdout) => resolve(error === null ? stdout : undefined));
  });
}
