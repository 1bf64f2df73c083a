import { groups, type Option } from './options/option.ts';
import { shownOptions } from './options.ts';
import { bold, wrap } from './output.ts';

export interface HelpStyle {
  /** Width of the screen. */
  readonly columns: number;
  /** Headings and option names in bold. */
  readonly bold: boolean;
}

/** `--ram=SIZE[:MAX]`, `--quiet`, `--dry-run[=FORMAT]`. */
export function longForm({ name, argument }: Option): string {
  if (argument === null) return `--${name}`;
  return argument.optional === undefined
    ? `--${name}=${argument.placeholder}`
    : `--${name}[=${argument.placeholder}]`;
}

/** The text of --help, by groups, no line longer than the screen as long as that has 40 columns. */
export function renderHelp(style: HelpStyle): string {
  const strong = style.bold ? bold : (text: string) => text;
  const shown = shownOptions();
  const labels = new Map(shown.map((option) => [option, label(option)]));
  const widest = Math.max(...[...labels.values()].map((text) => text.length));
  // On a narrow screen descriptions go below the names.
  const beside = style.columns >= widest + 32;
  const indent = beside ? widest + 2 : 8;
  const lines = [
    ...wrap('vmspawn [OPTIONS...] [--] [KERNEL COMMAND LINE WORDS...]', style.columns).map(strong),
    '',
    ...wrap('Boot an operating system image in a virtual machine.', style.columns),
  ];
  for (const group of groups) {
    lines.push('', strong(`${group}:`));
    for (const option of shown.filter((candidate) => candidate.group === group)) {
      const [first = '', ...rest] = wrap(option.help, style.columns - indent);
      const name = labels.get(option) ?? '';
      if (beside) lines.push(strong(name) + ' '.repeat(indent - name.length) + first);
      else lines.push(strong(name), ' '.repeat(indent) + first);
      lines.push(...rest.map((line) => ' '.repeat(indent) + line));
    }
  }
  lines.push('', ...wrap('See vmspawn(1) for details.', style.columns));
  return lines.map((line) => `${line}\n`).join('');
}

function label(option: Option): string {
  return `${option.short === undefined ? '    ' : `  -${option.short}`} ${longForm(option)}`;
}
