import { Option, type Command } from 'commander';
import { failure } from '../kernel/errors/failure.ts';

/** Verbs that are planned: they say so instead of being unknown. */
export const laterVerbs: readonly string[] = [
  'compare',
  'drill',
  'open',
  'query',
  'rescue',
  'undo',
  'serve',
  'schedule',
  'alert',
];

export function addLater(program: Command, name: string): void {
  program
    .command(name, { hidden: true })
    .allowUnknownOption()
    .allowExcessArguments()
    .helpOption(false)
    .action(() => {
      throw failure('not_in_this_version', {
        what: `holdfast ${name}`,
        suggestion: 'holdfast --help lists what this version does',
      });
    });
}

/** An option that is planned. It is not in the help. */
export function laterOption(command: Command, flags: string): void {
  const name = flags.split(' ', 1)[0] ?? flags;
  const refuse = (): never => {
    throw failure('not_in_this_version', {
      what: `${command.name()} ${name}`,
      suggestion: `holdfast ${command.name()} --help lists what this version does`,
    });
  };
  const option = new Option(flags).hideHelp().argParser(refuse);
  command.addOption(option);
  // Options without a value are not parsed by argParser.
  if (!flags.includes('<')) command.on(`option:${option.name()}`, refuse);
}
