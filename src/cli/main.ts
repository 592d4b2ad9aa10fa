#!/usr/bin/env node
import { setFlagsFromString } from 'node:v8';
import { holdfastVersion } from '../app/version.ts';

const args = process.argv.slice(2);
const [first] = args;
// Before anything else is loaded: scripts ask for it often.
if (args.length === 1 && (first === '--version' || first === '-V')) {
  // A reader who leaves early is no error.
  process.stdout.on('error', () => {});
  process.stdout.write(`${holdfastVersion()}\n`);
} else {
  allowMoreGarbage();
  const { runCli } = await import('./run.ts');
  const { systemMachine } = await import('../app/machine.ts');
  const { systemTerminal } = await import('./terminal.ts');
  const terminal = systemTerminal(process, process.env);
  const code = await runCli(args, {
    machine: systemMachine(),
    terminal,
    onSignal: (name, listener) => process.on(name, listener),
    exitNow: (status) => process.exit(status),
    vanish: () => process.kill(process.pid, 'SIGKILL'),
  });
  process.exitCode = code;
}

/**
 * The buffers that pass through count as garbage, and V8 would go over the whole heap, in every thread, each time
 * they have doubled it: a tenth of the processor time of a restore. The flag is one of the V8 that Node 24 has; a V8
 * that does not know it would say so on standard error.
 */
function allowMoreGarbage(): void {
  if (process.versions.v8.startsWith('13.')) setFlagsFromString('--heap-growing-percent=300');
}
