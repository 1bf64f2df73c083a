import { groups, type SpelledOption } from './options/option.ts';
import { shownOptions } from './options.ts';
import { bold, wrap } from './output.ts';

export interface HelpStyle {
  /** Width of the screen. */
  readonly columns: number;
  /** Headings and option names in bold. */
  readonly bold: boolean;
}

/** `--ram=SIZE[:MAX]`, `--quiet`, `--dry-run[=FORMAT]`. */
export function longForm({ name, argument }: SpelledOption): string {
  if (argument === null) return `--${name}`;
  return argument.optional === undefined
    ? `--${name}=${argument.placeholder}`
    : `--${name}[=${argument.placeholder}]`;
}

/** What a help text is made of. */
export interface HelpText {
  readonly usage: readonly string[];
  readonly summary: string;
  readonly sections: readonly HelpSection[];
  readonly see: string;
}

export interface HelpSection {
  readonly title: string;
  readonly entries: readonly { readonly label: string; readonly help: string }[];
}

/** The text of --help of vmspawn(1), by groups, no line longer than the screen as long as that has 40 columns. */
export function renderHelp(style: HelpStyle): string {
  const shown = shownOptions();
  return layOutHelp(
    {
      usage: ['vmspawn [OPTIONS...] [--] [KERNEL COMMAND LINE WORDS...]'],
      summary: 'Boot an operating system image in a virtual machine.',
      sections: groups.map((title) => ({
        title,
        entries: shown.filter(({ group }) => group === title).map(helpEntry),
      })),
      see: 'See vmspawn(1) for details.',
    },
    style,
  );
}

/** A help text as lines that fit the screen, as long as that has 40 columns. */
export function layOutHelp({ usage, summary, sections, see }: HelpText, style: HelpStyle): string {
  const strong = style.bold ? bold : (text: string) => text;
  const widest = Math.max(...sections.flatMap(({ entries }) => entries.map(({ label }) => label.length)));
  // On a narrow screen descriptions go below the names.
  const beside = style.columns >= widest + 32;
  const indent = beside ? widest + 2 : 8;
  const lines = [
    ...usage.flatMap((line) => wrap(line, style.columns)).map(strong),
    '',
    ...wrap(summary, style.columns),
  ];
  for (const { title, entries } of sections) {
    lines.push('', strong(`${title}:`));
    for (const { label, help } of entries) {
      const [first = '', ...rest] = wrap(help, style.columns - indent);
      if (beside) lines.push(strong(label) + ' '.repeat(indent - label.length) + first);
      else lines.push(strong(label), ' '.repeat(indent) + first);
      lines.push(...rest.map((line) => ' '.repeat(indent) + line));
    }
  }
  lines.push('', ...wrap(see, style.columns));
  return lines.map((line) => `${line}\n`).join('');
}

/** An option's line in a help text. */
export function helpEntry(option: SpelledOption): HelpSection['entries'][number] {
  const short = option.short === undefined ? '    ' : `  -${option.short}`;
  return { label: `${short} ${longForm(option)}`, help: option.help };
}
