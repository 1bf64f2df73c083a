import type { Option } from '../options/option.ts';

/**
 * Completion for bash 4.1 and newer. It needs nothing of the package bash-completion and takes `=` as a word break or
 * not, as COMP_WORDBREAKS has it.
 */
export function bashCompletion(options: readonly Option[]): string {
  const names = options.map(({ name, argument }) =>
    argument === null || argument.optional !== undefined ? `--${name}` : `--${name}=`,
  );
  const short = options.flatMap((option) => (option.short === undefined ? [] : [`-${option.short}`]));
  const takers = options.filter(({ argument }) => argument !== null && argument.optional === undefined);
  const cases = options.flatMap((option) => {
    const { argument } = option;
    if (argument === null || (argument.words.length === 0 && !argument.files)) return [];
    const files = argument.files ? 'files' : 'nofiles';
    return [`        ${patterns(option)}) _vmspawn_values ${files} '${argument.words.join(' ')}' ;;`];
  });
  return `# bash completion for vmspawn

# Usage: _vmspawn_values files|nofiles WORDS; completes the value in $cur.
_vmspawn_values() {
    if [[ $1 == files ]]; then
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -f -W "$2" -- "$cur")
    else
        mapfile -t COMPREPLY < <(compgen -W "$2" -- "$cur")
    fi
}

_vmspawn_value_of() {
    case $1 in
${cases.join('\n')}
    esac
}

_vmspawn() {
    COMPREPLY=()
    local cur=\${COMP_WORDS[COMP_CWORD]} word option='' position
    # Goes over the words before the cursor as the program does, to see whether options have ended, and whether the word
    # at the cursor is the value of one. --option = value are three words where "=" breaks words.
    for ((position = 1; position < COMP_CWORD; position++)); do
        word=\${COMP_WORDS[position]}
        if [[ -n $option ]]; then
            [[ $word == '=' ]] || option=''
            continue
        fi
        if [[ \${COMP_WORDS[position + 1]} == '=' && $word == --* ]]; then
            option=$word
            continue
        fi
        case $word in
        --) return ;;
        ${takers.flatMap(spelled).join(' | ')}) option=$word ;;
        -?*) ;;
        *) return ;;
        esac
    done
    if [[ -n $option ]]; then
        [[ $cur == '=' ]] && cur=''
        _vmspawn_value_of "$option"
    elif [[ $cur == --*=* ]]; then
        option=\${cur%%=*}
        cur=\${cur#*=}
        _vmspawn_value_of "$option"
        # What is one word to readline is no file name, so it is quoted here.
        compopt +o filenames 2>/dev/null
        for position in "\${!COMPREPLY[@]}"; do
            printf -v 'COMPREPLY[position]' '%s=%q' "$option" "\${COMPREPLY[position]}"
        done
    elif [[ $cur == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W '${[...short, ...names].join(' ')}' -- "$cur")
        [[ \${#COMPREPLY[@]} -eq 1 && \${COMPREPLY[0]} == *= ]] && compopt -o nospace 2>/dev/null
    fi
}

complete -F _vmspawn vmspawn
`;
}

function spelled({ name, short }: Option): string[] {
  return short === undefined ? [`--${name}`] : [`--${name}`, `-${short}`];
}

function patterns(option: Option): string {
  return spelled(option).join(' | ');
}
