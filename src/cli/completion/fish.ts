import { allVerbs, type OptionModel, type Value, type VerbModel } from './model.ts';

/** A script for fish 3 and newer: to lie in its directory of completions, or to be read at the start. */
export function fishScript(program: VerbModel): string {
  const verbs = allVerbs(program);
  const paths = verbs.filter(({ path }) => path.length > 0).map(({ path }) => path.join(' '));
  const valued = verbs.flatMap(({ path, options }) =>
    options
      .filter(({ value }) => value !== undefined)
      .flatMap(({ names }) => names.map((name) => `${path.join(' ')}:${name}`)),
  );
  return `# Completion of holdfast for fish; made by: holdfast completion fish

# The verbs there are, and the options that take the next word, each behind its verb.
set -g __holdfast_paths${list(paths)}
set -g __holdfast_valued${list(valued)}

${functions}
complete -c holdfast -f
${verbs.flatMap(linesOf).join('\n')}
`;
}

function linesOf({ path, options, args, verbs }: VerbModel): string[] {
  const at = path.join(' ');
  const line = (condition: string, rest: string): string =>
    `complete -c holdfast -n ${quoted(`__holdfast_at ${condition}`)} ${rest}`;
  return [
    ...verbs.map((verb) =>
      line(`${quoted(at)} 0`, `-a ${quoted(verb.path.at(-1) ?? '')} -d ${quoted(verb.summary)}`),
    ),
    ...options.map((option) => line(quoted(at), optionOf(option))),
    ...args
      .map(({ offers, variadic }, index) =>
        offered(offers) === '' ? '' : line(`${quoted(at)}${variadic ? '' : ` ${index}`}`, offered(offers)),
      )
      .filter((text) => text !== ''),
  ];
}

function optionOf({ names, description, value }: OptionModel): string {
  const flags = names.map((name) => (name.startsWith('--') ? `-l ${name.slice(2)}` : `-s ${name.slice(1)}`));
  const needs = value === undefined ? '' : value.offers.kind === 'files' ? ' -r -F' : ' -x';
  const offers = value === undefined || value.offers.kind === 'files' ? '' : offered(value.offers);
  return `${flags.join(' ')}${needs}${offers === '' ? '' : ` ${offers}`} -d ${quoted(description)}`;
}

function offered(offers: Value): string {
  switch (offers.kind) {
    case 'choices':
      // Behind a tab stands what is said of a value. Without one fish says of each what it says of the option.
      return `-a ${quoted(offers.choices.map((choice) => String.raw`${choice}\t`).join(' '))}`;
    case 'files':
      return '-F';
    case 'directories':
      return `-a '(__fish_complete_directories)'`;
    case 'free':
      return '';
    case 'sources':
    case 'backups':
      return `-k -a '(__holdfast_ask ${offers.kind})'`;
  }
}

function list(words: readonly string[]): string {
  return words.map((word) => ` \\\n    ${quoted(word)}`).join('');
}

/** In single quotes fish knows two escapes and nothing else. */
function quoted(text: string): string {
  return `'${text.replaceAll(/[\\']/g, String.raw`\$&`)}'`;
}

const functions = `# Whether this is the verb typed so far and, when given, how many words follow it.
function __holdfast_at
    set -l path ''
    set -l count 0
    set -l skip no
    set -l literal no
    set -l typed (commandline -opc)
    set -e typed[1]
    for word in $typed
        if test $skip = yes
            set skip no
        else if test $literal = no -a "$word" = --
            set literal yes
        else if test $literal = no; and string match -q -- '-*' $word
            contains -- "$path:$word" $__holdfast_valued; and set skip yes
        else if test $literal = no -a $count = 0; and contains -- (string trim "$path $word") $__holdfast_paths
            set path (string trim "$path $word")
        else
            set count (math $count + 1)
        end
    end
    test "$path" = "$argv[1]"; or return 1
    test (count $argv) -lt 2; or test $count = $argv[2]
end

# Asks the program as it was typed, with the options that were.
function __holdfast_ask
    set -l typed (string replace -r '^~/' "$HOME/" -- (commandline -opc))
    set -l program $typed[1]
    set -e typed[1]
    $program __complete $argv[1] $typed 2>/dev/null </dev/null
end
`;
