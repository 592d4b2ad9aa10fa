import type { Argument, Command, Option } from 'commander';

/** What can be offered for a value. */
export type Value =
  | { readonly kind: 'choices'; readonly choices: readonly string[] }
  | { readonly kind: 'files' | 'directories' | 'sources' | 'backups' }
  /** Nothing: only who types it knows. */
  | { readonly kind: 'free' };

export interface OptionModel {
  /** As they are typed, the long one last: `-h`, `--help`. */
  readonly names: readonly string[];
  readonly description: string;
  /** Undefined for an option without a value. */
  readonly value: { readonly name: string; readonly offers: Value } | undefined;
  readonly repeats: boolean;
}

export interface ArgumentModel {
  readonly name: string;
  readonly offers: Value;
  readonly variadic: boolean;
}

export interface VerbModel {
  /** From the program on, without it: `[]`, `['key', 'add']`. */
  readonly path: readonly string[];
  readonly summary: string;
  readonly options: readonly OptionModel[];
  readonly args: readonly ArgumentModel[];
  readonly verbs: readonly VerbModel[];
}

/** What the help shows of a command and everything below it. */
export function modelOf(command: Command, path: readonly string[] = []): VerbModel {
  const help = command.createHelp();
  const below = help.visibleCommands(command);
  const names = below.map((one) => one.name());
  return {
    path,
    summary: command.summary() || command.description(),
    options: help.visibleOptions(command).map(optionModel),
    args: command.registeredArguments.map((argument) => argumentModel(argument, path)),
    verbs: below.map((one) => {
      const model = modelOf(one, [...path, one.name()]);
      return one.name() === 'help' ? { ...model, args: [helpArgument(names)] } : model;
    }),
  };
}

/** This verb and all below it, each before those below it. */
export function allVerbs(verb: VerbModel): readonly VerbModel[] {
  return [verb, ...verb.verbs.flatMap(allVerbs)];
}

function helpArgument(names: readonly string[]): ArgumentModel {
  const choices = names.filter((name) => name !== 'help');
  return { name: 'verb', offers: { kind: 'choices', choices }, variadic: false };
}

function optionModel(option: Option): OptionModel {
  const { long, short, description, argChoices } = option;
  const [, name] = /[<[]([^>\]]+?)(?:\.\.\.)?[>\]]/.exec(option.flags) ?? [];
  return {
    names: [short, long].filter((one) => one !== undefined),
    description,
    value: name === undefined ? undefined : { name, offers: valueOf(name, argChoices, long) },
    repeats: option.variadic || /may be repeated/.test(description),
  };
}

function argumentModel(argument: Argument, path: readonly string[]): ArgumentModel {
  const { argChoices, variadic } = argument;
  const name = argument.name();
  // The ids of keys are not those of backups.
  const offers: Value = path[0] === 'key' ? { kind: 'free' } : valueOf(name, argChoices, undefined);
  return { name, offers, variadic };
}

/** By the choices there are, or by what the help calls the value. */
function valueOf(name: string, choices: readonly string[] | undefined, option: string | undefined): Value {
  if (choices !== undefined) return { kind: 'choices', choices };
  if (option === '--source' || name === 'source' || name === 'sources') return { kind: 'sources' };
  if (name === 'id' || name === 'ids') return { kind: 'backups' };
  if (/^(place|director)/.test(name)) return { kind: 'directories' };
  if (/^(file|path|target)/.test(name)) return { kind: 'files' };
  return { kind: 'free' };
}
