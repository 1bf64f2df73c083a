import { UsageError } from '../../errors.ts';
import { nearest } from '../../settings/nearest.ts';
import { readOptions } from '../parse.ts';
import { shortened } from '../values.ts';
import {
  type Command,
  type CtlOption,
  type CtlSettings,
  commands,
  ctlOptions,
  defaultCtlSettings,
} from './options.ts';

export interface CtlCommandLine {
  readonly settings: CtlSettings;
  /** Null only where help or the version is asked for. */
  readonly command: Command['name'] | null;
  /** Of the machine; null for the only one that runs. */
  readonly machine: string | null;
}

const seeHelp = { hint: 'vmspawnctl --help lists the commands.' };

/**
 * Reads the words after the program's name: a command, the name of a machine, and options anywhere among them. Throws
 * UsageError; after --help or --version nothing can be wrong any more.
 */
export function parseCtlCommandLine(words: readonly string[]): CtlCommandLine {
  const settings = defaultCtlSettings();
  const given: CtlOption[] = [];
  const plain: string[] = [];
  try {
    const rest = readOptions(
      words,
      ({ option }, value) => {
        option.set(settings, value ?? '', { label: `--${option.name}=`, cwd: null });
        given.push(option);
      },
      { program: 'vmspawnctl', options: ctlOptions, others: new Map(), word: (word) => plain.push(word) },
    );
    plain.push(...rest);
    const [word, machine = null, ...more] = plain;
    if (settings.action !== 'run') return { settings, command: null, machine };
    const command = findCommand(word);
    if (more.length > 0) {
      throw new UsageError(`vmspawnctl ${command} takes the name of one machine, not ${plain.length - 1}.`);
    }
    for (const option of given) {
      if (option.command === null || option.command === command) continue;
      throw new UsageError(`Option --${option.name} is for vmspawnctl ${option.command} only.`);
    }
    if (settings.readOnly && settings.steal) {
      throw new UsageError('Options --read-only and --steal exclude each other.');
    }
    return { settings, command, machine };
  } catch (error) {
    if (settings.action === 'run') throw error;
    return { settings, command: null, machine: null };
  }
}

function findCommand(word: string | undefined): Command['name'] {
  if (word === undefined) throw new UsageError('vmspawnctl needs a command.', seeHelp);
  const found = commands.find(({ name }) => name === word);
  if (found !== undefined) return found.name;
  const near = nearest(
    word,
    commands.map(({ name }) => name),
  );
  const also = near === null ? '' : `, the nearest known one is ${near}`;
  throw new UsageError(`Unknown command ${shortened(word)}${also}.`, seeHelp);
}
