import type { Settings } from '../../settings/settings.ts';
import type { Place } from '../values.ts';

/** Sections of the help text and of the man page, in their order. */
export const groups = [
  'Image',
  'Mounts',
  'Host',
  'Firmware',
  'Network',
  'Execution',
  'Credentials',
  'Identity',
  'Input and output',
  'Manager',
  'Other',
] as const;

export type Group = (typeof groups)[number];

/** Sections of a settings file, which stay the same when a heading changes; null where a group has no keys. */
export const sections: { readonly [group in Group]: string | null } = {
  Image: 'Image',
  Mounts: 'Mounts',
  Host: 'Host',
  Firmware: 'Firmware',
  Network: 'Network',
  Execution: 'Execution',
  Credentials: 'Credentials',
  Identity: 'Identity',
  'Input and output': 'Console',
  Manager: 'Manager',
  Other: null,
};

export interface Argument {
  /** As it stands in help texts: `PATH`, `SIZE[:MAX[:SLOTS]]`. */
  readonly placeholder: string;
  /** The option can stand alone and then means this value; an argument comes with `=` only. */
  readonly optional?: string;
  /** What completion offers; not always all that is understood. */
  readonly words: readonly string[];
  /** Completion offers file names. */
  readonly files: boolean;
}

/** A hidden spelling from before an option had its name. With `value` it takes no argument and stands for that one. */
export interface OldName {
  readonly name: string;
  readonly value?: string;
}

/** An option as it is spelled, by whichever of our programs. */
export interface SpelledOption {
  /** Without dashes. */
  readonly name: string;
  readonly short?: string;
  readonly oldNames?: readonly OldName[];
  /** Understood but neither shown nor completed. */
  readonly hidden?: true;
  readonly argument: Argument | null;
  /** One line without a full stop. */
  readonly help: string;
}

/**
 * One option: parser, help, man page, completions and settings file all read it from here. Texts use the markup of
 * man/vmspawn.1.md: `code`, _placeholder_, and a paragraph that starts with four spaces is an example as typed.
 */
export interface Option extends SpelledOption {
  /** Each occurrence adds to the earlier ones; otherwise the last one counts. */
  readonly repeatable?: true;
  readonly group: Group;
  /** First version that has it. */
  readonly since: string;
  /** Paragraphs: meaning, default, limits, an example where it helps. */
  readonly man: readonly string[];
  /** Key in a settings file, or null where a file has no use for it. */
  readonly key: string | null;
  /**
   * A settings file beside an image may say this, because it cannot reach anything of the host's: files, networks,
   * programs, other units. `unless-path`: any value without a slash. Not set: only trusted files may.
   */
  readonly harmless?: true | 'unless-path';
  readonly effect: Effect;
}

export type Action = 'help' | 'version' | 'clean-up';

export type Effect =
  | { readonly kind: 'action'; readonly action: Action }
  /**
   * Puts the value into the settings. An option without argument gets `yes`; in a settings file it has a boolean.
   * Throws UsageError for a value that cannot be used.
   */
  | { readonly kind: 'setting'; readonly set: (settings: Settings, value: string, place: Place) => void };

/** Short for the effect of nearly every option. */
export function setting(set: (settings: Settings, value: string, place: Place) => void): Effect {
  return { kind: 'setting', set };
}

export const booleanArgument: Argument = { placeholder: 'BOOL', words: ['yes', 'no'], files: false };
export const tristateArgument: Argument = {
  placeholder: 'TRISTATE',
  words: ['auto', 'yes', 'no'],
  files: false,
};
export const pathArgument: Argument = { placeholder: 'PATH', words: [], files: true };
export const stateArgument: Argument = { placeholder: 'PATH', words: ['auto', 'yes', 'no'], files: true };
