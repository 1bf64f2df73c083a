import type { Option } from '../options/option.ts';

/** Completion for zsh: a file `_vmspawn` for a directory in $fpath. */
export function zshCompletion(options: readonly Option[]): string {
  const specifications = options.map((option) => `  ${specification(option)}`);
  return `#compdef vmspawn

_vmspawn_words_or_files() {
  _alternative "words:word:($*)" 'files:file:_files'
}

_arguments -s -S -A '-*' \\
${specifications.map((line) => `${line} \\\n`).join('')}  '*::kernel command line word: '
`;
}

function specification(option: Option): string {
  const { name, short, argument } = option;
  const both = short === undefined ? [`--${name}`] : [`-${short}`, `--${name}`];
  const repeat = option.repeatable ? '*' : '';
  const exclusive = option.repeatable || short === undefined ? '' : `(${both.join(' ')})`;
  const text = `[${escaped(option.help)}]${argument === null ? '' : value(option)}`;
  const spellings = both.map((spelling) => {
    if (argument === null) return spelling;
    if (argument.optional !== undefined) return `${spelling}=-`;
    return spelling.startsWith('--') ? `${spelling}=` : `${spelling}+`;
  });
  if (spellings.length === 1) return quoted(`${repeat}${spellings[0]}${text}`);
  return `${quoted(repeat + exclusive)}{${spellings.join(',')}}${quoted(text)}`;
}

/** `:message:action`, with two colons for what may be left out. */
function value({ argument }: Option): string {
  if (argument === null) return '';
  const message = `${argument.optional === undefined ? ':' : '::'}${escaped(argument.placeholder.toLowerCase())}`;
  const words = argument.words.join(' ');
  if (argument.files && words !== '') {
    // The blank before it keeps _arguments from adding words of its own.
    return `${message}: _vmspawn_words_or_files ${words}`;
  }
  if (argument.files) return `${message}:_files`;
  return words === '' ? `${message}: ` : `${message}:(${words})`;
}

/** Brackets and colons have a meaning in a specification. */
function escaped(text: string): string {
  return text.replace(/[\\[\]:]/g, (character) => `\\${character}`);
}

function quoted(text: string): string {
  return text === '' ? '' : `'${text.replaceAll("'", "'\\''")}'`;
}
