#!/usr/bin/env node
import { holdfastVersion } from '../app/version.ts';

const args = process.argv.slice(2);
const [first] = args;
// Before anything else is loaded: scripts ask for it often.
if (args.length === 1 && (first === '--version' || first === '-V')) {
  process.stdout.write(`${holdfastVersion()}\n`);
} else {
  const { runCli } = await import('./run.ts');
  const { systemMachine } = await import('../app/machine.ts');
  const { systemTerminal } = await import('./terminal.ts');
  const terminal = systemTerminal(process, process.env);
  const code = await runCli(args, {
    machine: systemMachine(),
    terminal,
    onSignal: (name, listener) => process.on(name, listener),
    exitNow: (status) => process.exit(status),
  });
  process.exitCode = code;
}
