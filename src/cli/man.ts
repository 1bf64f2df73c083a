import { longForm } from './help.ts';
import { groups, type Option, sections } from './options/option.ts';
import { wrap } from './output.ts';

/*
 * man(7) macros from a small markup, for the man page's source and for the man paragraphs of options:
 * `# SECTION`, `## Subsection`, paragraphs, `code`, _placeholder_, lines indented by four spaces as typed, and
 * definitions: lines that begin with `: ` after a line with the term. The line `{options}` stands for all options, and
 * `{keys}` for the keys of settings files.
 */

/** Titles of the manual's sections. */
const volumes: { readonly [section: string]: string } = {
  1: 'User Commands',
  5: 'File Formats',
  8: 'System Administration',
};

/** Definitions for lines such as `{journal events}`, by what stands in the braces: pairs of term and text. */
export type Definitions = { readonly [name: string]: readonly (readonly [string, string])[] };

/**
 * The roff source of a page. `markup` is man/PAGE.md, whose first line is the date of its last change; `page` is the name
 * with the section, such as `vmspawn.1`.
 */
export function renderMan(
  markup: string,
  options: readonly Option[],
  version: string,
  page = 'vmspawn.1',
  definitions: Definitions = {},
): string {
  const [date = '', ...blocks] = markup.split(/\n{2,}/).flatMap((block) => expand(block, definitions));
  const [, name = page, section = '1'] = /^(.*)\.([0-9])$/.exec(page) ?? [];
  const lines = [
    `.TH ${name.toUpperCase()} ${section} ${date} "vmspawn ${version}" "${volumes[section]}"`,
    // No justified lines and no hyphens in what one may want to copy.
    '.nh',
    '.ad l',
  ];
  for (const block of blocks) {
    const afterHeading = /^\.S[HS] /.test(lines.at(-1) ?? '');
    const [first = '', ...rest] = renderBlock(block.replace(/\n+$/, ''), options);
    lines.push(...(first === '' || (afterHeading && first === '.PP') ? [] : [first]), ...rest);
  }
  return `${lines.join('\n')}\n`;
}

function expand(block: string, definitions: Definitions): string[] {
  const list = definitions[/^\{(.*)\}\n?$/.exec(block)?.[1] ?? ''];
  return list === undefined ? [block] : list.map(([term, text]) => `${term}\n: ${text}`);
}

function renderBlock(block: string, options: readonly Option[]): string[] {
  if (block === '{options}') return renderOptions(options);
  if (block === '{keys}') return renderKeys(options);
  if (block.startsWith('## ')) return [`.SS ${inline(block.slice(3))}`];
  if (block.startsWith('# ')) return [`.SH ${quotedWord(block.slice(2))}`];
  const [term = '', ...rest] = block.split('\n');
  if (rest.length > 0 && rest.every((line) => line.startsWith(': '))) {
    return ['.TP', inline(term), ...rest.flatMap((line) => filled(line.slice(2)))];
  }
  return ['.PP', ...renderParagraph(block)];
}

function renderParagraph(text: string): string[] {
  if (text.startsWith('    ')) {
    return ['.RS 4', '.nf', ...text.split('\n').map((line) => roff(line.slice(4))), '.fi', '.RE'];
  }
  return text.split('\n').flatMap(filled);
}

/** Running text in source lines of a width that one can read; a line must not start with what roff takes as a request. */
function filled(text: string): string[] {
  return wrap(inline(text), 78).map((line) => (/^[.']/.test(line) ? `\\&${line}` : line));
}

function renderOptions(options: readonly Option[]): string[] {
  const lines: string[] = [];
  for (const group of groups) {
    const members = options.filter((option) => option.group === group && option.hidden !== true);
    if (members.length === 0) continue;
    lines.push(`.SS ${inline(group)}`);
    for (const option of members) {
      const [first = '', ...more] = option.man;
      lines.push('.TP', heading(option), ...renderParagraph(first));
      // Further paragraphs at the depth of the first.
      for (const paragraph of more) {
        if (paragraph.startsWith('    ')) lines.push('.RS 7', '.PP', ...renderParagraph(paragraph), '.RE');
        else lines.push('.IP', ...renderParagraph(paragraph));
      }
      lines.push('.IP', `Added in version ${option.since}.`);
    }
  }
  return lines;
}

/** A section for each section of a settings file, with its keys. */
function renderKeys(options: readonly Option[]): string[] {
  const lines: string[] = [];
  for (const group of groups) {
    const members = options.filter(
      (option) => option.group === group && option.key !== null && option.hidden !== true,
    );
    if (members.length === 0) continue;
    lines.push(`.SH "[${sections[group]?.toUpperCase()}] SECTION OPTIONS"`);
    for (const option of members) {
      const { argument, key, harmless, help } = option;
      const trust =
        harmless === true
          ? ''
          : harmless === 'unless-path'
            ? ' From a file beside an image only without a path.'
            : ' Not from a file beside an image.';
      const list =
        option.repeatable === true && !help.endsWith('; repeatable') ? ' May be given more than once.' : '';
      const placeholder = argument === null ? 'BOOL' : argument.placeholder;
      lines.push(
        '.TP',
        `\\fB${roff(`${key}=`)}\\fR${argumentMarkup(placeholder)}`,
        ...filled(
          `${help}. See \`--${option.name}${argument === null ? '' : '='}\` in vmspawn(1).${list}${trust}`,
        ),
      );
    }
  }
  return lines;
}

function heading(option: Option): string {
  const { short, argument } = option;
  const [name = '', placeholder = ''] = splitOnce(
    longForm(option),
    argument === null ? '' : argument.placeholder,
  );
  const long = `\\fB${roff(name)}\\fR${placeholder === '' ? '' : argumentMarkup(placeholder)}`;
  return short === undefined ? long : `\\fB\\-${short}\\fR, ${long}`;
}

/** The long form up to its placeholder, and the rest. */
function splitOnce(text: string, at: string): [string, string] {
  const index = at === '' ? -1 : text.indexOf(at, text.indexOf('='));
  return index === -1 ? [text, ''] : [text.slice(0, index), text.slice(index)];
}

/** Capitals are what the user replaces. */
function argumentMarkup(text: string): string {
  return roff(text).replace(/[A-Z]+/g, (word) => `\\fI${word}\\fR`);
}

/** One line of text with `code` in bold and _placeholders_ in italics. */
function inline(text: string): string {
  const parts = text.split(/(`[^`]+`|(?<![A-Za-z0-9])_[^_`]+_(?![A-Za-z0-9]))/);
  const line = parts
    .map((part, index) => {
      if (index % 2 === 0) return roff(part, index > 0);
      return `\\f${part.startsWith('`') ? 'B' : 'I'}${roff(part.slice(1, -1), true)}\\fR`;
    })
    .join('');
  return line;
}

/** Text without a meaning to roff: a backslash, a dash that is a dash, a dot or quote at the start of a line. */
function roff(text: string, inside = false): string {
  const plain = text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replaceAll('^', '\\(ha')
    .replaceAll('~', '\\(ti')
    .replaceAll("'", '\\(aq')
    .replaceAll('`', '\\(ga');
  return !inside && /^[.']/.test(plain) ? `\\&${plain}` : plain;
}

function quotedWord(text: string): string {
  return text.includes(' ') ? `"${text}"` : text;
}
