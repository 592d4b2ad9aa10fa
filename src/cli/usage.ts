import type { Command, CommanderError } from 'commander';
import { failure, isFailure, type HoldfastError } from '../kernel/errors/failure.ts';
import { nearest } from '../kernel/nearest.ts';
import { redactWhole } from '../kernel/redact.ts';
import { examplesOf, neededOf } from './program.ts';

/**
 * What commander threw as a coded error; undefined for help and the version, which are no errors. `at` is the command
 * that threw it.
 */
export function asUsage(error: unknown, argv: readonly string[], at: Command): unknown {
  if (isFailure(error)) return error;
  const { code, message, exitCode } = error as CommanderError;
  if (typeof code !== 'string' || !code.startsWith('commander.')) return error;
  if (exitCode === 0) return undefined;
  if (code === 'commander.help')
    return noVerb(
      argv.filter((arg) => !arg.startsWith('-')),
      at,
    );
  const reason = message.replace(/^error: /, '');
  switch (code) {
    case 'commander.unknownCommand':
      return unknown(reason, /'(.+)'/s.exec(reason)?.[1] ?? '', visibleVerbs(at), at);
    case 'commander.unknownOption': {
      // What stands behind = may be a secret.
      const [option = ''] = /'([^'=]*)/.exec(reason)?.slice(1) ?? [];
      return unknown(`unknown option '${option}'`, option, visibleOptions(at), at);
    }
    case 'commander.excessArguments':
      return tooMany(at);
    case 'commander.missingArgument':
      return usage(reason, `${example(at)}see ${helpOf(at)}`);
    default:
      return usage(reason, `see ${helpOf(at)}`);
  }
}

/** Throws when an option is missing that the verb cannot do without. Nothing else about the line is wrong by then. */
export function checkNeeded(command: Command): void {
  const missing = missingOption(command);
  if (missing === undefined) return;
  throw usage(`${nameOf(command)} needs ${missing.flags}`, `${example(command)}see ${helpOf(command)}`);
}

function missingOption(command: Command) {
  const needed = neededOf.get(command);
  return needed === undefined || command.getOptionValue(needed.attributeName()) !== undefined
    ? undefined
    : needed;
}

function unknown(reason: string, word: string, known: readonly string[], at: Command): HoldfastError {
  const near = nearest(
    word.replace(/^--/, ''),
    known.map((one) => one.replace(/^--/, '')),
  );
  const found = known.find((one) => one.replace(/^--/, '') === near);
  return usage(
    reason,
    found === undefined ? `see ${helpOf(at)}` : `did you mean ${found}? See ${helpOf(at)}`,
  );
}

function tooMany(at: Command): HoldfastError {
  const surplus = at.args.slice(at.registeredArguments.length).map((word) => redactWhole(word));
  const reason = `${nameOf(at)} takes ${takes(at)}, and not ${surplus.join(' ')}`;
  const missing = missingOption(at);
  return usage(
    reason,
    missing === undefined
      ? `see ${helpOf(at)}`
      : `did you mean ${missing.long} ${surplus[0]}? See ${helpOf(at)}`,
  );
}

function takes({ registeredArguments: known }: Command): string {
  return known.length === 0 ? 'no words after it' : `only ${known.map((one) => `<${one.name()}>`).join(' ')}`;
}

/** The first example of the verb's help. */
function example(at: Command): string {
  const [first] = examplesOf.get(at) ?? [];
  return first === undefined ? '' : `for example: ${first}; `;
}

/** `key` without what to do with keys, or help for what is no verb. */
function noVerb(words: readonly string[], at: Command): HoldfastError {
  const above = words.slice(0, -1).filter((word) => word !== 'help');
  const word = words.at(-1) ?? '';
  if (words.includes('help')) {
    const near = nearest(word, visibleVerbs(at));
    const list = `${['holdfast', ...above, '--help'].join(' ')} lists them`;
    return usage(`there is no verb ${word}`, near === undefined ? list : `did you mean ${near}? ${list}`);
  }
  if (words.length === 0) return usage('there is no verb to run', 'holdfast --help lists them');
  return usage(`${words.join(' ')} needs a verb after it`, `holdfast ${words.join(' ')} --help lists them`);
}

/** Words behind the verb that help is asked for. */
export function tooMuchHelp(surplus: readonly string[]): HoldfastError {
  return usage(
    `help takes the name of one verb or error, and not ${surplus.join(' ')}`,
    'holdfast --help lists the verbs',
  );
}

function visibleVerbs(at: Command): string[] {
  return at
    .createHelp()
    .visibleCommands(at)
    .map((command) => command.name());
}

function visibleOptions(at: Command): string[] {
  return at
    .createHelp()
    .visibleOptions(at)
    .flatMap(({ long }) => long ?? []);
}

/** Without the program's: `key add`. */
function nameOf(command: Command): string {
  const { parent } = command;
  return parent?.parent ? `${nameOf(parent)} ${command.name()}` : command.name();
}

function helpOf(at: Command): string {
  return at.parent === null ? 'holdfast --help' : `holdfast ${nameOf(at)} --help`;
}

function usage(reason: string, suggestion: string): HoldfastError {
  return failure('usage', { reason, suggestion });
}
