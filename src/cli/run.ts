import type { Command } from 'commander';
import type { Machine } from '../app/machine.ts';
import { holdfastVersion } from '../app/version.ts';
import { runAgain } from '../kernel/errors/core.ts';
import { exitCodes } from '../kernel/errors/define.ts';
import { Face } from './face.ts';
import { Output } from './output.ts';
import { createProgram } from './program.ts';
import type { Terminal } from './terminal.ts';
import { asUsage, checkNeeded, tooMuchHelp } from './usage.ts';
import { errorCode } from './error-code.ts';
import { handlers } from './verbs/handlers.ts';

export interface CliEnvironment {
  readonly machine: Machine;
  readonly terminal: Terminal;
  readonly onSignal: (name: 'SIGINT' | 'SIGTERM' | 'SIGHUP', listener: () => void) => unknown;
  /** Ends the process here and now. */
  readonly exitNow: (status: number) => unknown;
  /** The same where a call of the system may hang for ever, which even `exitNow` waits for. */
  readonly vanish?: () => unknown;
}

const longRunning: readonly string[] = [
  'backup',
  'restore',
  'export',
  'import',
  'verify',
  'wal stream',
  'demo',
];

/** Say what they asked of services: what costs. Those that a server calls for every file say nothing. */
const tellingRequests: readonly string[] = [
  'backup',
  'restore',
  'export',
  'import',
  'verify',
  'rebuild-index',
  'prune',
  'clean',
  'sync',
  'size',
  'status',
  'wal stream',
];

/** Look at places that may not answer: what hangs there must not keep the program from ending. */
const leaving: readonly string[] = ['status', 'info'];

/** Make backups, of several things one after another. */
const storing: readonly string[] = ['backup', 'import'];

/** Runs one command line and answers its exit code. Nothing is left running when it resolves. */
export async function runCli(argv: readonly string[], environment: CliEnvironment): Promise<number> {
  const { machine, terminal } = environment;
  const [first, ...rest] = argv;
  // What completion scripts ask at every press of the key: not in the help, and nothing is loaded that it does not need.
  if (first === '__complete') {
    const { answerCompletion } = await import('./completion/answer.ts');
    const vanish = environment.vanish ?? (() => environment.exitNow(0));
    await answerCompletion(rest, { machine, terminal, vanish });
    return 0;
  }
  let code = 0;
  let face: Face | undefined;
  const program = createProgram(holdfastVersion(), async (verb, args, options, command) => {
    checkNeeded(command);
    face = new Face(faceOptions(verb, options), machine, terminal, argv);
    listen(face, environment);
    const handler = await handlers[verb]?.();
    if (handler === undefined) throw new Error(`the verb ${verb} has no handler`);
    code = await handler(face, args, options);
    if (leaving.includes(verb)) environment.exitNow(code);
  });
  let at = program;
  configure(program, terminal, (command) => (at = command));
  try {
    if (argv.length === 0) {
      terminal.stderr.write(program.helpInformation());
      return 2;
    }
    const explained = explainedCode(argv);
    if (explained !== undefined) {
      face = new Face(guessOptions(argv), machine, terminal, argv);
      const { runHelpError } = await import('./verbs/help-error.ts');
      return await runHelpError(face, explained);
    }
    await program.parseAsync([...helpOfSubcommand(argv, program)], { from: 'user' });
    return code;
  } catch (error) {
    const usage = asUsage(error, argv, at);
    if (usage === undefined) return 0;
    face ??= new Face(guessOptions(argv), machine, terminal, argv);
    const status = face.fail(usage);
    await face.flush();
    return status;
  }
}

/** The code in `help HF-5005`, which commander would take for a verb. */
function explainedCode(argv: readonly string[]): string | undefined {
  const [help, word, ...surplus] = argv.filter((arg) => !arg.startsWith('-'));
  const code = help === 'help' ? errorCode(word) : undefined;
  if (code !== undefined && surplus.length > 0) throw tooMuchHelp(surplus);
  return code;
}

/** `help key add` as `key add --help`: commander's own help command looks no further than `key`. */
function helpOfSubcommand(argv: readonly string[], program: Command): readonly string[] {
  const [help, name, ...more] = argv;
  const verb = program.commands.find((command) => command.name() === name);
  if (help !== 'help' || name === undefined || verb === undefined || more.length === 0) return argv;
  if (more.some((word) => word.startsWith('-'))) return argv;
  const [sub = '', ...surplus] = more;
  if (surplus.length > 0 || verb.commands.length === 0) throw tooMuchHelp(more);
  const known = verb.commands.some((command) => command.name() === sub);
  return known ? [name, sub, '--help'] : [name, 'help', sub];
}

function faceOptions(verb: string, options: Readonly<Record<string, unknown>>) {
  return {
    json: options['json'] === true,
    quiet: options['quiet'] === true,
    yes: options['yes'] === true,
    longRunning: longRunning.includes(verb),
    tellsRequests: tellingRequests.includes(verb),
    ifInterrupted: ifInterrupted(verb, options['globals'] === true),
    ...(storing.includes(verb) ? { always: nothingStored(verb) } : {}),
  };
}

/** What the summary of a verb that stores has even when it failed. */
function nothingStored(verb: string): Readonly<Record<string, unknown>> {
  const nothing = { backups: [], failed: [], not_made: [] };
  return verb === 'backup' ? { ...nothing, copies: [] } : nothing;
}

/** What Ctrl-C has left, and what to do then. */
function ifInterrupted(verb: string, globals: boolean): string {
  if (storing.includes(verb)) return runAgain;
  const again = 'run the same command again';
  if (verb !== 'restore') return again;
  const roles = globals ? ' (roles that --globals made stay)' : '';
  return `the target is as it was, and what was restored beside it is removed${roles}; ${again}`;
}

/** For a command line that does not parse: whoever asked for JSON gets JSON. */
function guessOptions(argv: readonly string[]) {
  const verb = argv.find((arg) => !arg.startsWith('-')) ?? '';
  return faceOptions(verb, { json: argv.includes('--json'), quiet: argv.includes('--quiet') });
}

/** `failed` hears of the command that throws something. */
function configure(program: Command, terminal: Terminal, failed: (command: Command) => void): void {
  const all = [program, ...program.commands, ...program.commands.flatMap(({ commands }) => commands)];
  for (const command of all) {
    command.exitOverride((error) => {
      failed(command);
      throw error;
    });
    command.configureOutput({
      writeOut: (text) => new Output(terminal).product(text),
      writeErr: () => {},
      // Help is the same whoever reads it.
      getOutHelpWidth: () => 100,
    });
  }
}

/** The first signal stops the work in good order, the second one at once. */
function listen(face: Face, { onSignal, exitNow }: CliEnvironment): void {
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    onSignal(name, () => {
      const what = name === 'SIGINT' ? 'Ctrl-C' : name;
      if (face.interrupt(what)) {
        face.say(`${what}: stopping; once more stops at once\n`);
        return;
      }
      face.say(
        `${what}: stopped at once; what is left half done is harmless, and holdfast doctor names it if it can be removed\n`,
      );
      exitNow(exitCodes.interrupted);
    });
  }
}
