import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import type { Clock } from '../../src/kernel/clock.ts';
import { systemMachine, type Machine } from '../../src/app/machine.ts';
import { runCli } from '../../src/cli/run.ts';
import type { Terminal } from '../../src/cli/terminal.ts';
import { ranWith, type Ran, type RunOptions, type Sandbox } from './program-runner.ts';

/** This machine with the sandbox's directories, and nothing of its own environment but PATH. */
export function machineOf(box: Sandbox, env: RunOptions['env'] = {}, cwd = box.path): Machine {
  const own = { PATH: process.env['PATH'], HOME: box.home, LC_ALL: 'C.UTF-8' };
  return { ...systemMachine(), env: { ...own, ...env }, cwd, home: box.home };
}

/**
 * The program within this process, for what does not depend on being one: it saves starting Node and loading all of
 * it, which is most of what a refusal costs.
 */
export async function runInProcess(
  box: Sandbox,
  args: readonly string[],
  { env, cwd, clock }: Pick<RunOptions, 'env' | 'cwd'> & { readonly clock?: Clock } = {},
): Promise<Ran> {
  const terminal = {
    stdin: new PassThrough(),
    stdout: new PassThrough(),
    stderr: new PassThrough(),
    interactive: false,
    screen: false,
    colour: false,
  };
  const own = machineOf(box, env, cwd);
  const machine = clock === undefined ? own : { ...own, clock };
  const output = Promise.all([text(terminal.stdout), text(terminal.stderr)]);
  const code = await runCli(args, {
    machine,
    terminal: terminal as unknown as Terminal,
    onSignal: () => {},
    exitNow: () => {},
  });
  terminal.stdout.end();
  terminal.stderr.end();
  return ranWith(code, ...(await output));
}
