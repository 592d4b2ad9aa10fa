import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import { systemMachine } from '../src/app/machine.ts';
import { runCli } from '../src/cli/run.ts';
import { terminalPicture } from './terminal-picture.ts';

// Usage: node scripts/render-demo.ts
// Runs the demo and draws what it said: docs/demo.svg. For when its words or figures have changed.

const stdout = Object.assign(new PassThrough(), { isTTY: true });
const said = text(stdout);
const code = await runCli(['demo'], {
  machine: systemMachine(),
  terminal: {
    stdin: process.stdin,
    stdout,
    stderr: process.stderr,
    interactive: false,
    screen: false,
    colour: true,
  },
  onSignal: (name, listener) => process.on(name, listener),
  exitNow: (status) => process.exit(status),
});
stdout.end();
const prompt = '\u001b[2m$\u001b[22m npm run demo\n\n';
if (code === 0)
  writeFileSync(
    join(import.meta.dirname, '../docs/demo.svg'),
    terminalPicture(prompt + (await said), 'A backup, a disaster, a restore and the proof'),
  );
process.exitCode = code;
