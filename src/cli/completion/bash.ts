import { allVerbs, type Value, type VerbModel } from './model.ts';

/** A script for bash 4 and newer, with and without the package bash-completion. */
export function bashScript(program: VerbModel): string {
  return `# Completion of holdfast for bash; made by: holdfast completion bash

# Sets verbs, options and arguments to what may follow a verb. Of an option with a value, what can be offered stands
# behind the =; choices are separated by |.
_holdfast_verb() {
  case $1 in
${allVerbs(program).map(caseOf).join('\n')}
  esac
}

${functions}`;
}

function caseOf({ path, options, args, verbs }: VerbModel): string {
  const typed = options.flatMap(({ names, value }) =>
    names.map((name) => (value === undefined ? name : `${name}=${word(value.offers)}`)),
  );
  const positional = args.map(({ offers, variadic }) => `${word(offers) || '-'}${variadic ? '...' : ''}`);
  return `  '${path.join(' ')}')
    verbs='${verbs.map((verb) => verb.path.at(-1)).join(' ')}'
    options='${typed.join(' ')}'
    arguments='${positional.join(' ')}'
    ;;`;
}

function word(offers: Value): string {
  if (offers.kind === 'choices') return offers.choices.join('|');
  return offers.kind === 'free' ? '' : `@${offers.kind}`;
}

const functions = `_holdfast() {
  local IFS=$' \\t\\n'
  local index piece cur head line=$COMP_LINE
  local -a words=()
  COMPREPLY=()
  # Readline cuts words at : and =, too. What has no blank before it belongs to the word before.
  for ((index = 0; index <= COMP_CWORD; index++)); do
    piece=\${COMP_WORDS[index]}
    if [[ index -eq 0 || -z $line || $line == [[:blank:]]* ]]; then
      words+=("$piece")
    else
      words[\${#words[@]} - 1]+=$piece
    fi
    line=\${line#"\${line%%[![:blank:]]*}"}
    line=\${line#"$piece"}
  done
  local cword=$((\${#words[@]} - 1))
  cur=\${words[cword]}
  # What stands before the part that readline will replace.
  piece=\${COMP_WORDS[COMP_CWORD]}
  case $piece in *[!:=]*) ;; *) piece= ;; esac
  head=\${cur%"$piece"}

  local path='' verbs options arguments option pending='' literal='' count=0
  _holdfast_verb ''
  for ((index = 1; index < cword; index++)); do
    piece=\${words[index]}
    if [[ -n $literal || $piece != -* ]]; then
      if [[ -z $literal && $count -eq 0 && " $verbs " == *" $piece "* ]]; then
        path=\${path:+$path }$piece
        _holdfast_verb "$path"
      else
        count=$((count + 1))
      fi
    elif [[ $piece == -- ]]; then
      literal=yes
    else
      for option in $options; do
        [[ $option == "$piece="* ]] || continue
        index=$((index + 1))
        [[ $index -eq $cword ]] && pending=$option
      done
    fi
  done

  if [[ -n $pending ]]; then
    _holdfast_offer "\${pending#*=}" '' "$cur"
  elif [[ -z $literal && $cur == --*=* ]]; then
    for option in $options; do
      [[ $option == "\${cur%%=*}="* ]] && _holdfast_offer "\${option#*=}" "\${cur%%=*}=" "\${cur#*=}"
    done
  elif [[ -z $literal && $cur == -* ]]; then
    for option in $options; do
      [[ $option == --* ]] && _holdfast_reply '' "$cur" "\${option%%=*}"
    done
  elif [[ $count -eq 0 && -n $verbs ]]; then
    for option in $verbs; do _holdfast_reply '' "$cur" "$option"; done
  else
    index=0 pending=''
    for option in $arguments; do
      [[ $index -eq $count || $option == *... ]] && pending=\${option%...} && break
      index=$((index + 1))
    done
    _holdfast_offer "$pending" '' "$cur"
  fi
}

# What is to be offered, what to put before it, and what was typed of it.
_holdfast_offer() {
  local candidate
  case $1 in
  '' | -) ;;
  @files) compopt -o default 2>/dev/null ;;
  @directories) compopt -o dirnames 2>/dev/null ;;
  @*)
    compopt -o nosort 2>/dev/null
    while IFS=$'\\t' read -r candidate _; do
      _holdfast_reply "$2" "$3" "$candidate"
    done < <(_holdfast_ask "\${1#@}" 2>/dev/null)
    ;;
  *)
    local IFS='|'
    for candidate in $1; do _holdfast_reply "$2" "$3" "$candidate"; done
    ;;
  esac
}

# Adds a candidate, after $1, when it begins with what was typed of it.
_holdfast_reply() {
  local typed=\${2//\\\\/} reply=$3
  case $typed in
  [\\"\\']*) typed=\${typed:1} ;;
  *) printf -v reply %q "$3" ;;
  esac
  [[ $3 == "$typed"* ]] || return 0
  reply=$1$reply
  COMPREPLY+=("\${reply:\${#head}}")
}

# Asks the program as it was typed, with the options that were.
_holdfast_ask() {
  local index typed
  local -a asked=()
  for ((index = 0; index < cword; index++)); do
    typed=\${words[index]//[\\"\\'\\\\]/}
    [[ $typed == '~/'* ]] && typed=$HOME/\${typed:2}
    asked+=("$typed")
  done
  "\${asked[0]}" __complete "$1" "\${asked[@]:1}" </dev/null
}

complete -F _holdfast holdfast
`;
