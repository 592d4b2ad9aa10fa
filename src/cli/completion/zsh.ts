import { allVerbs, type OptionModel, type Value, type VerbModel } from './model.ts';
import { quoted } from './quote.ts';

/** A script for zsh: to be read at the start, or to lie in a directory of `fpath` under the name `_holdfast`. */
export function zshScript(program: VerbModel): string {
  return `#compdef holdfast
# Completion of holdfast for zsh; made by: holdfast completion zsh

${allVerbs(program).map(functionOf).join('\n\n')}

${ask}`;
}

function functionOf({ path, options, args, verbs }: VerbModel): string {
  const specs = options.map(optionSpec);
  const begin = `${nameOf(path)}() {\n`;
  // What was typed from the program on; below, zsh shows each verb only its own words.
  const typed = path.length === 0 ? '  local -a _holdfast_typed=("${(@Q)words[1,CURRENT-1]}")\n' : '';
  if (verbs.length === 0) {
    const positional = args.map(
      ({ name, offers, variadic }, index) =>
        `${variadic ? '*' : index + 1}:${escaped(name)}:${action(offers)}`,
    );
    return `${begin}${typed}  _arguments -S${lines([...specs, ...positional.map(quoted)])}\n}`;
  }
  const below = verbs.map(({ path: [...names], summary }) => `${names.at(-1)}:${summary}`);
  const cases = verbs.map((verb) => `  ${verb.path.at(-1)}) ${nameOf(verb.path)} && ret=0 ;;`);
  return `${begin}${typed}  local curcontext=$curcontext state ret=1
  local -a verbs=(${lines(below.map(quoted)).replaceAll(' \\\n', '\n')}
  )
  _arguments -C -S${lines([...specs, quoted('(-)1:verb:->verb'), quoted('(-)*::argument:->rest')])} && ret=0
  case $state in
  verb) _describe -t verbs verb verbs && ret=0 ;;
  rest)
    curcontext="\${curcontext%:*:*}:holdfast-$words[1]:"
    case $words[1] in
  ${cases.join('\n  ')}
    esac
    ;;
  esac
  return ret
}`;
}

function nameOf(path: readonly string[]): string {
  return ['_holdfast', ...path].join('_').replaceAll('-', '_');
}

function lines(words: readonly string[]): string {
  return words.map((word) => ` \\\n    ${word}`).join('');
}

function optionSpec({ names, description, value, repeats }: OptionModel): string {
  const about = `[${escaped(description)}]`;
  const offered = value === undefined ? '' : `:${escaped(value.name)}:${action(value.offers)}`;
  const equals = value === undefined ? '' : '=';
  const [first = '', second] = names;
  // An option is offered once, unless it may be repeated; of two names only one.
  if (second !== undefined)
    return `${quoted(`(${names.join(' ')})`)}{${first},${second}}${quoted(about + offered)}`;
  return quoted(`${repeats ? '*' : ''}${first}${equals}${about}${offered}`);
}

function action(offers: Value): string {
  switch (offers.kind) {
    case 'choices':
      return `(${offers.choices.join(' ')})`;
    case 'files':
      return '_files';
    case 'directories':
      return '_files -/';
    case 'free':
      return ' ';
    case 'sources':
    case 'backups':
      // The blank in front keeps zsh from adding words of its own.
      return ` _holdfast_ask ${offers.kind}`;
  }
}

/** For the specifications of _arguments, where colons and brackets separate. */
function escaped(text: string): string {
  return text.replaceAll(/[\\:[\]]/g, String.raw`\$&`);
}

const ask = `# Asks the program as it was typed, with the options that were.
_holdfast_ask() {
  local value about
  local -a found asked=("\${(@)_holdfast_typed/#\\~\\//$HOME/}")
  while IFS=$'\\t' read -r value about; do
    found+=("\${\${value//\\\\/\\\\\\\\}//:/\\\\:}\${about:+:$about}")
  done < <("$asked[1]" __complete $1 "\${(@)asked[2,-1]}" 2>/dev/null </dev/null)
  (( $#found )) || return 1
  _describe -V -t $1 $1 found
}

if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
  _holdfast "$@"
else
  compdef _holdfast holdfast
fi
`;
