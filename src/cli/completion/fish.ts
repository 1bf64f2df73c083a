import type { Option } from '../options/option.ts';

/** Completion for fish 3.0 and newer: a file `vmspawn.fish` for vendor_completions.d. */
export function fishCompletion(options: readonly Option[]): string {
  const takers = options.filter(({ argument }) => argument !== null && argument.optional === undefined);
  const spellings = takers.flatMap(({ name, short }) =>
    short === undefined ? [`--${name}`] : [`--${name}`, `-${short}`],
  );
  return `# fish completion for vmspawn

# True until the first word that is no option: what follows is for the kernel command line.
function __fish_vmspawn_in_options
    set -l value_follows 0
    for word in (commandline -opc)[2..-1]
        if test $value_follows = 1
            set value_follows 0
            continue
        end
        switch $word
            case --
                return 1
            case ${spellings.join(' ')}
                set value_follows 1
            case '-?*'
            case '*'
                return 1
        end
    end
    return 0
end

complete -c vmspawn -f
${options.map((option) => `${line(option)}\n`).join('')}`;
}

function line({ name, short, argument, help }: Option): string {
  const parts = ['complete -c vmspawn -n __fish_vmspawn_in_options'];
  if (short !== undefined) parts.push(`-s ${short}`);
  parts.push(`-l ${name}`);
  if (argument !== null) {
    if (argument.optional === undefined) parts.push('-r');
    parts.push(argument.files ? '-F' : '-f');
    if (argument.words.length > 0) parts.push(`-a ${quoted(argument.words.join(' '))}`);
  }
  parts.push(`-d ${quoted(help)}`);
  return parts.join(' ');
}

function quoted(text: string): string {
  return `'${text.replace(/[\\']/g, (character) => `\\${character}`)}'`;
}
