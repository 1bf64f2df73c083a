import { type CtlOption, commands, ctlOptions } from './options.ts';

/** Globs of control sockets, one below each directory of machines; `runtime` is a variable of the scripts. */
const sockets = [
  '/run/vmspawn/*/control',
  '"$runtime"/vmspawn/*/control',
  '/tmp/vmspawn-"$UID"/*/control',
].join(' ');

const names = commands.map(({ name }) => name);

function spellings({ name, short, argument }: CtlOption): string[] {
  const long = `--${name}${argument === null ? '' : '='}`;
  return short === undefined ? [long] : [`-${short}`, long];
}

function optionsOf(command: string): string {
  return ctlOptions
    .filter((option) => option.command === null || option.command === command)
    .flatMap(spellings)
    .join(' ');
}

/** Completion of vmspawnctl for bash 4.1 and newer. */
export function ctlBashCompletion(): string {
  return `# bash completion for vmspawnctl

_vmspawnctl_machines() {
    local socket runtime=\${XDG_RUNTIME_DIR:-/run/user/$UID}
    for socket in ${sockets}; do
        [[ -S $socket ]] || continue
        socket=\${socket%/control}
        printf '%s\\n' "\${socket##*/}"
    done
}

_vmspawnctl() {
    COMPREPLY=()
    local cur=\${COMP_WORDS[COMP_CWORD]} word command='' machine='' position
    for ((position = 1; position < COMP_CWORD; position++)); do
        word=\${COMP_WORDS[position]}
        if [[ $word == -* ]]; then continue; fi
        if [[ -z $command ]]; then command=$word; else machine=$word; fi
    done
    if [[ $cur == -* ]]; then
        case $command in
${names.map((name) => `        ${name}) word='${optionsOf(name)}' ;;`).join('\n')}
        *) word='${optionsOf('')}' ;;
        esac
        mapfile -t COMPREPLY < <(compgen -W "$word" -- "$cur")
    elif [[ -z $command ]]; then
        mapfile -t COMPREPLY < <(compgen -W '${names.join(' ')}' -- "$cur")
    elif [[ -z $machine ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$(_vmspawnctl_machines)" -- "$cur")
    fi
}

complete -F _vmspawnctl vmspawnctl
`;
}

/** Completion of vmspawnctl for zsh: a file \`_vmspawnctl\` for a directory in $fpath. */
export function ctlZshCompletion(): string {
  const specification = (option: CtlOption): string => {
    const spelled = spellings(option);
    const exclusive = spelled.length === 1 ? '' : quoted(`(${spelled.join(' ')})`);
    const words = spelled.length === 1 ? (spelled[0] ?? '') : `{${spelled.join(',')}}`;
    const value = option.argument === null ? '' : quoted(`:${option.argument.placeholder}: `);
    return `${exclusive}${words}${quoted(`[${option.help}]`)}${value}`;
  };
  const described = commands.map(({ name, help }) => quoted(`${name}:${help}`));
  return `#compdef vmspawnctl

_vmspawnctl_machines() {
  local -a machines
  local runtime=\${XDG_RUNTIME_DIR:-/run/user/$UID}
  machines=(${sockets.replaceAll('control', 'control(N=)')})
  machines=(\${\${machines%/control}##*/})
  compadd -a machines
}

_vmspawnctl_commands() {
  local -a commands
  commands=(${described.join(' ')})
  _describe command commands
}

_arguments -s -S \\
${ctlOptions.map((option) => `  ${specification(option)} \\\n`).join('')}  '1: :_vmspawnctl_commands' '2: :_vmspawnctl_machines' '*: : '
`;
}

/** Completion of vmspawnctl for fish 3.0 and newer. */
export function ctlFishCompletion(): string {
  const seen = (command: string) => quoted(`__fish_seen_subcommand_from ${command}`);
  const option = ({ name, short, command, help, argument }: CtlOption): string =>
    [
      'complete -c vmspawnctl',
      ...(command === null ? [] : [`-n ${seen(command)}`]),
      ...(short === undefined ? [] : [`-s ${short}`]),
      `-l ${name}${argument === null ? '' : ' -x'} -d ${quoted(help)}`,
    ].join(' ');
  return `# fish completion for vmspawnctl

function __fish_vmspawnctl_machines
    set -l runtime /run/user/(id -u)
    set -q XDG_RUNTIME_DIR; and set runtime $XDG_RUNTIME_DIR
    for socket in /run/vmspawn/*/control $runtime/vmspawn/*/control /tmp/vmspawn-(id -u)/*/control
        test -S $socket; and string replace -r '.*/([^/]*)/control$' '$1' $socket
    end
end

# True where no machine was named yet.
function __fish_vmspawnctl_wants_machine
    set -l words
    for word in (commandline -opc)[2..-1]
        string match -q -- '-*' $word; or set -a words $word
    end
    test (count $words) = 1
end

complete -c vmspawnctl -f
${commands.map(({ name, help }) => `complete -c vmspawnctl -n __fish_use_subcommand -a ${name} -d ${quoted(help)}\n`).join('')}complete -c vmspawnctl -n __fish_vmspawnctl_wants_machine -a '(__fish_vmspawnctl_machines)'
${ctlOptions.map((each) => `${option(each)}\n`).join('')}`;
}

/** For zsh and fish alike, which differ in how a quote stands within quotes; no text here has a backslash. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
