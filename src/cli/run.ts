import type { Command, CommanderError } from 'commander';
import type { Machine } from '../app/machine.ts';
import { holdfastVersion } from '../app/version.ts';
import { runAgain } from '../kernel/errors/core.ts';
import { exitCodes } from '../kernel/errors/define.ts';
import { failure, isFailure, type HoldfastError } from '../kernel/errors/failure.ts';
import { nearest } from '../kernel/nearest.ts';
import { Face } from './face.ts';
import { Output } from './output.ts';
import { createProgram } from './program.ts';
import type { Terminal } from './terminal.ts';
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

const longRunning: readonly string[] = ['backup', 'restore', 'export', 'import', 'verify', 'demo'];

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
  const program = createProgram(holdfastVersion(), async (verb, args, options) => {
    face = new Face(faceOptions(verb, options), machine, terminal, argv);
    listen(face, environment);
    const handler = await handlers[verb]?.();
    if (handler === undefined) throw new Error(`the verb ${verb} has no handler`);
    code = await handler(face, args, options);
  });
  configure(program, terminal);
  try {
    if (argv.length === 0) {
      terminal.stderr.write(program.helpInformation());
      return 2;
    }
    await program.parseAsync(helpOfSubcommand(argv, program), { from: 'user' });
    return code;
  } catch (error) {
    const usage = asUsage(error, argv, program);
    if (usage === undefined) return 0;
    face ??= new Face(guessOptions(argv), machine, terminal, argv);
    const status = face.fail(usage);
    await face.flush();
    return status;
  }
}

/** `help key add` as `key add --help`: commander's own help command looks no further than `key`. */
function helpOfSubcommand(argv: readonly string[], program: Command): string[] {
  const [help, verb, sub, ...more] = argv;
  const under = program.commands.find((command) => command.name() === verb)?.commands ?? [];
  const known = under.some((command) => command.name() === sub);
  if (help !== 'help' || verb === undefined || sub === undefined || more.length > 0 || !known)
    return [...argv];
  return [verb, sub, '--help'];
}

function faceOptions(verb: string, options: Readonly<Record<string, unknown>>) {
  return {
    json: options['json'] === true,
    quiet: options['quiet'] === true,
    yes: options['yes'] === true,
    longRunning: longRunning.includes(verb),
    ifInterrupted: ifInterrupted(verb, options['globals'] === true),
    ...(storing.includes(verb) ? { always: { backups: [], failed: [], not_made: [] } } : {}),
  };
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

function configure(program: Command, terminal: Terminal): void {
  const all = [program, ...program.commands, ...program.commands.flatMap(({ commands }) => commands)];
  for (const command of all) {
    command.exitOverride();
    command.configureOutput({
      writeOut: (text) => new Output(terminal).product(text),
      writeErr: () => {},
      // Help is the same whoever reads it.
      getOutHelpWidth: () => 100,
    });
  }
}

/** What commander threw as a coded error; undefined for help and the version, which are no errors. */
function asUsage(error: unknown, argv: readonly string[], program: Command): unknown {
  if (isFailure(error)) return error;
  const { code, message, exitCode } = error as CommanderError;
  if (typeof code !== 'string' || !code.startsWith('commander.')) return error;
  if (exitCode === 0) return undefined;
  if (code === 'commander.help') return noVerb(argv.filter((arg) => !arg.startsWith('-')));
  const [first = '', ...rest] = message.replace(/^error: /, '').split('\n');
  const suggested =
    /\(Did you mean (?:one of )?(.+)\?\)/.exec(rest.join(' '))?.[1] ?? nearestVerb(code, first, program);
  const verb = argv.find((arg) => !arg.startsWith('-'));
  const help =
    verb === undefined || code === 'commander.unknownCommand' ? 'holdfast --help' : `holdfast ${verb} --help`;
  return usage(first, suggested === undefined ? `see ${help}` : `did you mean ${suggested}? See ${help}`);
}

/** `key` without what to do with keys, or help for what is no verb. */
function noVerb(words: readonly string[]): HoldfastError {
  const above = words.slice(0, -1).filter((word) => word !== 'help');
  if (words.includes('help'))
    return usage(
      `there is no verb ${words.at(-1)}`,
      `${['holdfast', ...above, '--help'].join(' ')} lists them`,
    );
  if (words.length === 0) return usage('there is no verb to run', 'holdfast --help lists them');
  return usage(`${words.join(' ')} needs a verb after it`, `holdfast ${words.join(' ')} --help lists them`);
}

function nearestVerb(code: string, message: string, program: Command): string | undefined {
  if (code !== 'commander.unknownCommand') return undefined;
  const word = /'(.+)'/.exec(message)?.[1] ?? '';
  return nearest(
    word,
    program.commands.map((command) => command.name()),
  );
}

function usage(reason: string, suggestion: string): HoldfastError {
  return failure('usage', { reason, suggestion });
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
