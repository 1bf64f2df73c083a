import type { Sequence } from './escape-sequence.ts';
import { KeyModifiers, undoAnyModifiers } from './key-modifiers.ts';
import { KeyboardProtocol, popped, undoAnyKeyboard } from './keyboard-protocol.ts';
import { isScreen } from './private-modes.ts';
import {
  ansiModeRules,
  csiRule,
  escapeRule,
  oscRules,
  privateModeRules,
  type Reach,
  type Rule,
  windowRules,
} from './terminal-reach.ts';

/**
 * Who is there: `interactive`, somebody who types; `read-only`, nobody. `replay`: somebody, but what is shown is of before, and
 * nobody waits for an answer to it.
 */
export type FilterMode = 'interactive' | 'replay' | 'read-only';

export interface TerminalFilterOptions {
  readonly mode: FilterMode;
  readonly allow: ReadonlySet<Reach>;
}

/** What becomes of a sequence; a Buffer takes its place. */
export type Verdict = 'pass' | 'drop' | Buffer;

/** Bytes of mode lists; what is longer comes from no program. */
const MODES_LIMIT = 64;
/** Characters of a title. */
const TITLE_LIMIT = 250;
/** Titles that a guest may have pushed at one time. */
const STACK_LIMIT = 16;

/**
 * Judges the sequences of a guest by the table in terminal-reach.ts: nothing of what it writes may reach what lies
 * outside of its part of the screen, or make the terminal type something that nobody passes on to it.
 */
export class TerminalFilter {
  mode: FilterMode;
  /** How many sequences have gone to the terminal that it may answer. */
  questions = 0;
  readonly #allow: ReadonlySet<Reach>;
  #titles = 0;
  /** Terminals keep the protocols of the keyboard for each screen: the normal one and the alternate one. */
  readonly #keyboards: readonly [KeyboardProtocol, KeyboardProtocol] = [
    new KeyboardProtocol(),
    new KeyboardProtocol(),
  ];
  readonly #modifiers = new KeyModifiers();
  #alternate = false;
  /** The terminal's attributes were asked for, and since then nothing that each terminal answers. */
  #attributesAsked = false;
  #coloursSet = false;
  /** The sequence that began the hyperlink which is open, of which all text would become a part; empty for none. */
  #link = '';

  constructor({ mode, allow }: TerminalFilterOptions) {
    this.mode = mode;
    this.#allow = allow;
  }

  /** The alternate screen is shown. */
  get alternate(): boolean {
    return this.#alternate;
  }

  /** Judges a complete sequence. */
  judge(sequence: Sequence): Verdict {
    switch (sequence.kind) {
      case 'csi': {
        const rule = csiRule(sequence.prefix, sequence.intermediates, sequence.final);
        if (rule === 'pass') return 'pass';
        return rule === 'own' ? this.#ownCsi(sequence) : this.#verdict(rule);
      }
      case 'escape':
        if (sequence.intermediates === 0) {
          if (sequence.final === 0x63) this.#reset(); // RIS
          // DECKPAM, a mode of the keyboard.
          if (sequence.final === 0x3d) return this.mode === 'read-only' ? 'drop' : 'pass';
          if (sequence.final === 0x5a) return this.#attributes(); // DECID
        }
        return this.#verdict(escapeRule(sequence.intermediates, sequence.final));
      case 'osc':
        return this.#osc(sequence);
      case 'dcs':
        return this.#dcs(sequence);
      case 'apc':
        return this.#apc(sequence);
      default:
        return 'drop';
    }
  }

  /** Judges a string of any length by its beginning: whether it goes to the terminal. */
  judgeLong(sequence: Sequence): boolean {
    const { kind, data, bodyStart } = sequence;
    if (kind === 'osc') {
      const number = /^(52|5522|1337|5113);/.test(data.toString('latin1', bodyStart, bodyStart + 5));
      return number && this.judge(sequence) === 'pass';
    }
    if (kind === 'dcs' && header(sequence) !== 'q') return false;
    return this.judge(sequence) === 'pass';
  }

  /** How many titles are pushed on the terminal's stack. */
  get titles(): number {
    return this.#titles;
  }

  /** What takes back changes to the alternate screen, if that is shown, before it is left. */
  undoScreen(): string {
    return this.#alternate ? this.#keyboards[1].undo() : '';
  }

  /** What takes back the guest's changes that outlast it, when the normal screen is shown. */
  undo(): string {
    const colours = this.#coloursSet ? ownColours : '';
    return `${this.#keyboards[0].undo()}${this.#modifiers.undo()}${popTitles(this.#titles)}${colours}${this.#link === '' ? '' : endLink}`;
  }

  /** What to write when the guest is shown again: for the normal screen, and the alternate one, if that is to be shown then. */
  again(): string {
    return `${this.#keyboards[0].again()}${this.#modifiers.again()}${pushTitle.repeat(this.#titles)}${this.#link}`;
  }

  againScreen(): string {
    return this.#alternate ? this.#keyboards[1].again() : '';
  }

  #reset(): void {
    this.#alternate = false;
    this.#link = '';
    this.#modifiers.reset();
    for (const keyboard of this.#keyboards) keyboard.reset();
  }

  #verdict(rule: Rule): Verdict {
    if (rule === 'answered') return this.#question('pass');
    return this.#permits(rule) ? 'pass' : 'drop';
  }

  /** What the terminal answers at once, and what it does beside needs this permission. */
  #question(rule: Rule): Verdict {
    if (this.mode !== 'interactive' || !this.#permits(rule)) return 'drop';
    this.questions += 1;
    return 'pass';
  }

  #permits(rule: Rule): boolean {
    if (rule === 'pass') return true;
    if (rule === 'answered') return this.mode === 'interactive';
    return rule !== 'never' && rule !== 'own' && this.#allow.has(rule);
  }

  #ownCsi(sequence: Sequence): Verdict {
    const { final, prefix } = sequence;
    if (final === 0x68 || final === 0x6c) return this.#modes(sequence);
    if (final === 0x74) return this.#window(body(sequence));
    if (prefix === 0) return final === 0x63 ? this.#attributes() : this.#status(body(sequence));
    if (this.mode === 'read-only') return 'drop';
    if (final === 0x75) {
      const verdict = this.#keyboards[this.#alternate ? 1 : 0].judge(prefix, body(sequence));
      return typeof verdict === 'number' ? Buffer.from(popped(verdict)) : verdict;
    }
    this.#modifiers.see(sequence);
    return 'pass';
  }

  /** DA1. */
  #attributes(): Verdict {
    const verdict = this.#question('pass');
    if (verdict === 'pass') this.#attributesAsked = true;
    return verdict;
  }

  /**
   * DSR. Whether the terminal works (5) is no question right behind the one for its attributes: both answers together mark the
   * end of all answers (last-answers.ts). Only that for the cursor (6) surely comes between them.
   */
  #status(parameters: string): Verdict {
    const cursor = /^0*6$/.test(parameters);
    if (!cursor && this.#attributesAsked) return 'drop';
    const verdict = this.#question('pass');
    if (cursor && verdict === 'pass') this.#attributesAsked = false;
    return verdict;
  }

  /** The list without the modes that are not for the guest. */
  #modes(sequence: Sequence): Verdict {
    if (sequence.bodyEnd - sequence.bodyStart > MODES_LIMIT) return 'drop';
    const rules = sequence.prefix === 0 ? ansiModeRules : privateModeRules;
    const all = body(sequence).split(';');
    // Leading zeros are none to the terminal.
    const kept = all.filter((mode) => {
      const number = String(Number(mode));
      const rule = rules.get(number) ?? (sequence.prefix === 0 ? 'pass' : 'never');
      return this.#permits(rule) || (rule === 'answered' && this.mode === 'replay' && number !== sizeReports);
    });
    if (sequence.final === 0x68 && kept.some((mode) => reports.test(mode))) this.questions += 1;
    if (all.some((mode) => mode.includes(':')) || kept.length === 0) return 'drop';
    let left = '';
    if (sequence.prefix !== 0 && kept.some((mode) => isScreen(Number(mode)))) {
      if (sequence.final === 0x6c) left = this.#leaveScreen();
      this.#alternate = sequence.final === 0x68;
    }
    if (kept.length === all.length && left === '') return 'pass';
    const prefix = sequence.prefix === 0 ? '' : '?';
    return Buffer.from(`${left}\x1b[${prefix}${kept.join(';')}${String.fromCharCode(sequence.final)}`);
  }

  /** Before the alternate screen is left: what takes back changes to it, since nobody comes to it again in the end. */
  #leaveScreen(): string {
    const undo = this.undoScreen();
    if (this.#alternate) this.#keyboards[1].forget();
    return undo;
  }

  #window(parameters: string): Verdict {
    const operation = String(Number(parameters.split(';')[0]));
    const rule = windowRules.get(operation) ?? 'window';
    if (rule !== 'title') return this.#verdict(rule);
    // A pop too many takes the title that is put back in the end.
    const push = operation === '22';
    if (!this.#allow.has('title') || (push ? this.#titles >= STACK_LIMIT : this.#titles === 0)) return 'drop';
    this.#titles += push ? 1 : -1;
    return 'pass';
  }

  #osc(sequence: Sequence): Verdict {
    const { data, bodyStart, bodyEnd } = sequence;
    const [, number = '', rest = ''] =
      /^([0-9]{1,5})(?:;(.*))?$/s.exec(data.toString('latin1', bodyStart, bodyEnd)) ?? [];
    const rule = oscRules[String(Number(number))];
    if (number === '' || rule === undefined) return 'drop';
    if (rule === 'title') return this.#title(sequence, number);
    if (rule === 'files') return this.#files(Number(number), rest);
    // A line feed in it ends the string in some terminals.
    if (/[\x00-\x1f\x7f]/.test(rest)) return 'drop';
    if (rule === 'own' || rule === 'colours') return this.#colours(Number(number), rest);
    if (rule === 'hyperlinks' && this.#permits(rule)) {
      const open = /;./.test(rest);
      this.#link = open ? data.toString('latin1', sequence.start, sequence.end) : '';
    }
    return isQuestion(Number(number), rest) ? this.#question(rule) : this.#verdict(rule);
  }

  #title({ data, bodyStart, bodyEnd }: Sequence, number: string): Verdict {
    if (!this.#allow.has('title')) return 'drop';
    const start = bodyStart + number.length + 1;
    const title = data.toString('utf8', Math.min(start, bodyEnd), bodyEnd);
    // Some terminals take this for a question.
    if (title === '?') return 'drop';
    const shown = title.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu, '');
    // U+FFFD stands for what is no UTF-8, where a terminal may see a control of 8 bits.
    if (shown === title && title.length <= TITLE_LIMIT && !title.includes('\ufffd')) return 'pass';
    return Buffer.from(`\x1b]${number};${[...shown].slice(0, TITLE_LIMIT).join('')}\x1b\\`);
  }

  #files(number: number, rest: string): Verdict {
    if (number === 1337 && !/^(File|MultipartFile|FilePart)=|^FileEnd$/.test(rest)) return 'drop';
    return number === 5113 ? this.#question('files') : this.#verdict('files');
  }

  #colours(number: number, rest: string): Verdict {
    const fields = rest.split(';');
    const values = number < 10 ? fields.filter((_, index) => index % 2 === 1) : fields;
    if (number < 20 && values.length > 0 && values.every((value) => value === '?'))
      return this.#verdict('answered');
    const verdict = rest.includes('?') ? this.#question('colours') : this.#verdict('colours');
    if (verdict === 'pass') this.#coloursSet = true;
    return verdict;
  }

  #dcs(sequence: Sequence): Verdict {
    const introducer = header(sequence);
    if (introducer === 'q') return this.#verdict('graphics');
    // XTGETTCAP answers with the names that it got, in hexadecimal.
    if (introducer === '+q' && /^\+q[0-9a-fA-F;]*$/.test(body(sequence))) return this.#verdict('answered');
    return 'drop';
  }

  /** https://sw.kovidgoyal.net/kitty/graphics-protocol/: the terminal answers; `t` says where the data is. */
  #apc(sequence: Sequence): Verdict {
    const [control = '', ...data] = body(sequence).split(';');
    if (!control.startsWith('G')) return 'drop';
    // The control data went on behind what is known of a long string.
    if (data.length === 0 && sequence.bodyEnd === sequence.end) return 'drop';
    const media = control
      .slice(1)
      .split(',')
      .filter((pair) => pair.startsWith('t='));
    return this.#question(media.every((pair) => pair === 't=d') ? 'graphics' : 'files');
  }
}

/**
 * Whether the terminal answers, of what reaches out of the window: reading the clipboard; all of kitty's protocol for it,
 * which tells the outcome of writing too; notifications that ask what there is, or tell what becomes of them.
 * https://sw.kovidgoyal.net/kitty/clipboard/, https://sw.kovidgoyal.net/kitty/desktop-notifications/
 */
function isQuestion(number: number, rest: string): boolean {
  if (number === 52) return rest.includes('?');
  if (number === 5522) return true;
  const [metadata = ''] = rest.split(';');
  return number === 99 && /(?:^|:)(?:p=(?:\?|alive)|a=[^:]*report|c=1)(?::|$)/.test(metadata);
}

/** What a terminal's own palette, text, background and cursor are. */
const ownColours = '\x1b]104\x1b\\\x1b]110\x1b\\\x1b]111\x1b\\\x1b]112\x1b\\';

/** Sizes of the window as reports: the terminal tells the first one at once, to whoever reads then. */
const sizeReports = '2048';
/** They, and those of the focus and the colour scheme, which some terminals tell at once too. */
const reports = /^0*(?:1004|2031|2048)$/;

const endLink = '\x1b]8;;\x1b\\';
const pushTitle = '\x1b[22;0t';

/** Takes so many titles from the terminal's stack. */
export function popTitles(count: number): string {
  return '\x1b[23;0t'.repeat(count);
}

/** How many titles more are pushed than popped by what a filter has let pass, without what ends in its first `sent` bytes. */
export function pushedTitles(bytes: Buffer, sent: number): number {
  let count = 0;
  for (const { 0: sequence, 1: digit, index } of bytes.toString('latin1').matchAll(titleSteps)) {
    if (index + sequence.length > sent) count += digit === '2' ? 1 : -1;
  }
  return count;
}

const titleSteps = /\x1b\[0*2([23])(?:;[0-9;:]*)?t/g;

/** What takes back all that a guest may have changed on the screen that is shown, where nothing is known; the titles stay. */
export function undoAny(allow: ReadonlySet<Reach>): string {
  return `${undoAnyKeyboard}${undoAnyModifiers}${allow.has('colours') ? ownColours : ''}${allow.has('hyperlinks') ? endLink : ''}`;
}

function body({ data, bodyStart, bodyEnd }: Sequence): string {
  return data.toString('latin1', bodyStart, bodyEnd);
}

/** Intermediates and final byte of a DCS string; null when it is malformed. */
function header(sequence: Sequence): string | null {
  return /^[0-9:;]*([ -/]{0,2}[@-~])/.exec(body(sequence))?.[1] ?? null;
}
