import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import type { Machine } from '../../src/app/machine.ts';
import { runCli } from '../../src/cli/run.ts';
import type { Terminal } from '../../src/cli/terminal.ts';

export interface Played {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Sits at a terminal and types each answer once its question is there. */
export async function play(
  machine: Machine,
  args: readonly string[],
  answers: readonly [question: string, keys: string][],
): Promise<Played> {
  const stdin = new PassThrough();
  const stdout = new PassThrough();
  const stderr = new PassThrough();
  let out = '';
  let err = '';
  let seen = 0;
  const left = [...answers];
  const modes: boolean[] = [];
  stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
  stderr.on('data', (chunk: Buffer) => {
    err += chunk.toString();
    const [next] = left;
    if (next === undefined || !err.slice(seen).includes(next[0])) return;
    left.shift();
    seen = err.length;
    setImmediate(() => stdin.write(next[1]));
  });
  const terminal = {
    stdin: Object.assign(stdin, { setRawMode: (on: boolean) => void modes.push(on) }),
    stdout,
    stderr,
    interactive: true,
    screen: false,
    colour: false,
  } as unknown as Terminal;
  const code = await runCli(args, { machine, terminal, onSignal: () => {}, exitNow: () => {} });
  assert.deepEqual(left, [], `not asked: ${JSON.stringify(left)}; said: ${err}`);
  assert.equal(modes.filter((on) => on).length, modes.filter((on) => !on).length);
  return { code, stdout: out, stderr: err };
}
