import { UsageError } from '../errors.ts';
import { defaultSettings } from '../settings/defaults.ts';
import { nearest } from '../settings/nearest.ts';
import type { Settings } from '../settings/settings.ts';
import type { Action, Option, SpelledOption } from './options/option.ts';
import { options } from './options.ts';
import { systemdOptions } from './others.ts';
import { shortened } from './values.ts';

export interface CommandLine {
  readonly settings: Settings;
  /** `run` unless --help or --version was there; of those the first one counts. */
  readonly action: 'run' | Action;
}

/** A spelling that was recognised. `fixed` is the value that an old spelling such as --qemu-gui stands for. */
export interface Spelling<O extends SpelledOption = Option> {
  readonly name: string;
  readonly option: O;
  readonly fixed: string | null;
}

/** The options of one program. */
export interface Grammar<O extends SpelledOption> {
  readonly program: string;
  readonly options: readonly O[];
  /** Those of a program that others may take it for, which it does not have: their long and short names. */
  readonly others: ReadonlyMap<string, string | null>;
  /** Takes a word that is no option, and options may follow it; without this options end there. */
  readonly word?: (word: string) => void;
}

/** That of vmspawn(1). */
export const ownGrammar: Grammar<Option> = { program: 'vmspawn', options, others: systemdOptions };

/**
 * Reads the words after the program's name as getopt_long(3) does with a leading `+`: options end at the first word
 * that is none, or at `--`; what follows is for the kernel command line. Long options may be shortened as long as they
 * stay unique, short ones bundled. Relative paths become absolute from `cwd`. Settings are put into `base`.
 *
 * Throws UsageError. After --help or --version nothing can be wrong any more: what is asked for is help.
 */
export function parseCommandLine(
  words: readonly string[],
  { cwd, base = defaultSettings() }: { readonly cwd: string; readonly base?: Settings },
): CommandLine {
  const settings = base;
  let action: 'run' | Action = 'run';
  const apply = ({ option, name, fixed }: Spelling, value: string | null) => {
    if (option.effect.kind === 'action') {
      if (action === 'run') action = option.effect.action;
    } else
      option.effect.set(settings, value ?? fixed ?? option.argument?.optional ?? 'yes', {
        label: `--${name}${value === null ? ' ' : '='}`,
        cwd,
      });
  };
  try {
    settings.kernelCommandLine = readOptions(words, apply, ownGrammar);
  } catch (error) {
    if (action === 'run' || action === 'clean-up' || !(error instanceof UsageError)) throw error;
  }
  return { settings, action };
}

/**
 * Gives every option with its argument (null where it has none) to `apply`, in order, and returns the words that follow.
 * Throws UsageError for what is no option, or one without its argument.
 */
export function readOptions<O extends SpelledOption>(
  words: readonly string[],
  apply: (spelling: Spelling<O>, value: string | null) => void,
  grammar: Grammar<O>,
): string[] {
  let position = 0;
  const next = (): string | null => words[position++] ?? null;
  for (let word = next(); word !== null; word = next()) {
    if (word === '--') break;
    if (word === '-' || !word.startsWith('-')) {
      if (grammar.word !== undefined) {
        grammar.word(word);
        continue;
      }
      position -= 1;
      break;
    }
    if (word.startsWith('--')) readLong(word.slice(2), next, apply, grammar);
    else readShort(word.slice(1), next, apply, grammar);
  }
  return words.slice(position);
}

function readLong<O extends SpelledOption>(
  word: string,
  next: () => string | null,
  apply: (spelling: Spelling<O>, value: string | null) => void,
  grammar: Grammar<O>,
): void {
  const equals = word.indexOf('=');
  const spelling = findLong(equals === -1 ? word : word.slice(0, equals), grammar);
  const attached = equals === -1 ? null : word.slice(equals + 1);
  const { argument } = spelling.option;
  if (argument === null || spelling.fixed !== null) {
    if (attached !== null) {
      throw new UsageError(`Option --${spelling.name} takes no argument, but got ${quoted(attached)}.`);
    }
    apply(spelling, null);
  } else if (attached !== null || argument.optional !== undefined) apply(spelling, attached);
  else apply(spelling, required(next(), `--${spelling.name}`, spelling.option));
}

/** A word such as `-qi`, with the argument of the last option attached or in the next word. */
function readShort<O extends SpelledOption>(
  letters: string,
  next: () => string | null,
  apply: (spelling: Spelling<O>, value: string | null) => void,
  { program, options, others }: Grammar<O>,
): void {
  let rest = letters;
  while (rest !== '') {
    const letter = String.fromCodePoint(rest.codePointAt(0) ?? 0);
    rest = rest.slice(letter.length);
    const option = options.find(({ short }) => short === letter);
    if (option === undefined) {
      const other = [...others].find(([, short]) => short === letter);
      if (other !== undefined) throw notYet(`-${letter} (--${other[0]})`);
      const where = letters === letter ? '' : ` in -${shortened(letters)}`;
      throw new UsageError(`Unknown option -${letter}${where}.`, {
        hint: `${program} --help lists the options.`,
      });
    }
    const spelling = { name: option.name, option, fixed: null };
    if (option.argument === null) apply(spelling, null);
    else {
      apply(spelling, rest === '' ? required(next(), `-${letter}`, option) : rest);
      return;
    }
  }
}

function required(value: string | null, name: string, { argument }: SpelledOption): string {
  if (value === null) throw new UsageError(`Option ${name} needs an argument, ${argument?.placeholder}.`);
  return value;
}

function spellings<O extends SpelledOption>(options: readonly O[]): Spelling<O>[] {
  return options.flatMap((option) => [
    { name: option.name, option, fixed: null },
    ...(option.oldNames ?? []).map(({ name, value }) => ({ name, option, fixed: value ?? null })),
  ]);
}

/** An exact name, or the start of names that all mean the same. */
function findLong<O extends SpelledOption>(name: string, grammar: Grammar<O>): Spelling<O> {
  const all = spellings(grammar.options);
  const exact = all.find((spelling) => spelling.name === name);
  if (exact !== undefined) return exact;
  const candidates = all.filter((spelling) => spelling.name.startsWith(name));
  const [first] = candidates;
  if (name === '' || first === undefined) throw unknown(name, grammar);
  if (candidates.some(({ option, fixed }) => option !== first.option || fixed !== first.fixed)) {
    const shown = candidates.filter(({ option, name }) => option.hidden !== true && option.name === name);
    const named = (shown.length > 1 ? shown : candidates).map((candidate) => `--${candidate.name}`);
    throw new UsageError(`Option --${name} is ambiguous, it could be ${named.join(', ')}.`);
  }
  return first;
}

function notYet(option: string): UsageError {
  return new UsageError(`Option ${option} of systemd-vmspawn is not supported by this version of vmspawn.`, {
    hint: 'vmspawn --help lists the options.',
  });
}

function unknown<O extends SpelledOption>(
  name: string,
  { program, options, others }: Grammar<O>,
): UsageError {
  if (others.has(name)) return notYet(`--${name}`);
  const near = nearest(
    name,
    options.filter(({ hidden }) => hidden !== true).map((option) => option.name),
  );
  const also = near === null ? '' : `, the nearest known one is --${near}`;
  return new UsageError(`Unknown option --${shortened(name)}${also}.`, {
    hint: `${program} --help lists the options.`,
  });
}

function quoted(value: string): string {
  return value === '' ? 'an empty one' : shortened(value);
}
