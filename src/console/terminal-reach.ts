import { allowedReaches, type reaches } from '../settings/defaults.ts';

/**
 * What a guest can do outside of its part of the screen, by name; only what is allowed goes to the terminal:
 *
 * | name              | sequences                                   | why it is not a matter of course                      |
 * | ----------------- | ------------------------------------------- | ----------------------------------------------------- |
 * | clipboard         | OSC 52, 5522                                | reads and replaces what the user copied elsewhere      |
 * | colours           | OSC 4, 5, 10-19, 21, 104, 105, 110-119      | changes the palette of the window, also after the end  |
 * | files             | OSC 1337 File=, 5113; kitty graphics by path | makes the terminal write or read files of the host    |
 * | graphics          | sixel, kitty graphics with data             | (allowed by default)                                  |
 * | hyperlinks        | OSC 8                                       | opens what the guest names when clicked (by default)  |
 * | notifications     | OSC 9, 99, 777                              | speaks for the host's desktop                         |
 * | title             | OSC 0, 1, 2; CSI 22 t, 23 t                 | names the window; bounded, balanced (by default)      |
 * | window            | CSI t 1-9, 24 and more; DECCOLM, DECSCPP    | moves, resizes, hides the window                      |
 * | working-directory | OSC 7                                       | new windows open there, on the host                   |
 *
 * Never: what makes the terminal type something that the guest chose (title reports, ENQ, DECRQSS, DECRQCRA, DECUDK),
 * printing (CSI i), logging, VT52 and Tektronix modes, other character encodings, locks of the keyboard, passing
 * through tmux(1), and any string that is not known. Queries whose answers are the terminal's own (DA, DSR, DECRQM,
 * sizes, colours) and keyboard and mouse modes go by while somebody is there to pass the input on: interactive only.
 */
export type Reach = (typeof reaches)[number];

export const allowedByDefault: ReadonlySet<Reach> = new Set(allowedReaches);

/**
 * How a sequence is judged. `answered`: the terminal answers, or types something else than before from then on, so that
 * somebody has to be there who passes it on to the guest. `own`: the filter looks at the parameters.
 */
export type Rule = 'pass' | 'answered' | 'never' | 'own' | Reach;

/** CSI sequences by prefix, intermediates and final byte. What is not here is `answered`: it might be. */
const csis: Readonly<Record<string, Rule>> = {
  ...each('@ A B C D E F G H I J K L M P S T X Z ` a b d e f g m q r s u', 'pass'),
  ...each('x >c =c ?n $p ?$p >q ?u ?m ?S #R', 'answered'),
  ...each('>u <u =u >m >n >s', 'answered'), // keyboard protocols; the end undoes them
  ...each('h l ?h ?l t c n >u <u =u >m >n', 'own'),
  ...each('?J ?K !p "q ?c #p #q #{ #} $r $t $v $x $z ${ *x >p', 'pass'),
  // Printer, answers that the guest chooses, key programming, self tests, consoles of the host, other protocols; DEC's
  // locator, which goes on to report the mouse.
  ...each("i ?i $w *y $u #S \"p y ] &u ?r ?s >t >T 'w 'z '{", 'never'),
  ...each('$| *|', 'window'),
  ' q': 'pass',
  ' @': 'pass',
  ' A': 'pass',
};

/** Escape sequences by intermediates and final byte. What is not here is `answered`. */
const escapes: Readonly<Record<string, Rule>> = {
  ...each('6 7 8 9 > D E H M N O V W c l m n o | } ~ \\ #3 #4 #5 #6 #8', 'pass'),
  ...each('Z =', 'answered'),
  ' F': 'pass',
  ' G': 'never', // answers with 8-bit controls
};

/** OSC strings by their number. What is not here goes nowhere. */
export const oscRules: Readonly<Record<string, Rule>> = {
  ...each('0 1 2', 'title'),
  ...each('4 5 10 11 12 13 14 15 16 17 18 19', 'own'),
  ...each('21 104 105 110 111 112 113 114 115 116 117 118 119', 'colours'),
  7: 'working-directory',
  8: 'hyperlinks',
  ...each('9 99 777', 'notifications'),
  ...each('52 5522', 'clipboard'),
  ...each('133 3008', 'pass'), // marks of shells and contexts
  ...each('1337 5113', 'files'),
};

/**
 * The DEC private modes that a guest may change; all others are never for it, since terminals have modes of their own for the
 * keyboard and the clipboard (9001, 5522, 7727), and settings that nobody could put back (1007, 1035 to 1061). Where
 * terminals agree on what these are at rest, private-modes.ts undoes them.
 */
export const privateModeRules: ReadonlyMap<string, Rule> = new Map([
  ...modes('4 5 6 7 8 12 25 45 47 69 1047 1048 1049 2026 2027', 'pass'), // screen, cursor, wrap around, margins
  ...modes('80 1070 8452', 'graphics'), // sixels: scrolling, colours of their own, where the cursor stays
  ...modes('3 40', 'window'), // 132 columns
  ...modes('1 9 66 1000 1002 1003 1004 1005 1006 1015 1016 1034 2004 2031 2048', 'answered'), // keys, mouse, reports
]);

/** Modes of ECMA-48 and VT100: locked keyboard, local echo, Return sends two characters. */
export const ansiModeRules: ReadonlyMap<string, Rule> = new Map(modes('2 12 20', 'never'));

/** CSI t by its first parameter; what is not here moves or changes the window. */
export const windowRules: ReadonlyMap<string, Rule> = new Map([
  ...modes('11 13 14 15 16 18 19', 'answered'), // state, position, sizes
  ...modes('20 21', 'never'), // titles
  ...modes('22 23', 'title'),
]);

const plainCsi: readonly Rule[] = Array.from(
  { length: 128 },
  (_, final) => csis[String.fromCharCode(final)] ?? 'answered',
);

/** The rule for a CSI sequence. */
export function csiRule(prefix: number, intermediates: number, final: number): Rule {
  if (prefix === 0 && intermediates === 0) return plainCsi[final] ?? 'never';
  return csis[text(prefix) + text(intermediates) + String.fromCharCode(final)] ?? 'answered';
}

/** The rule for an escape sequence. */
export function escapeRule(intermediates: number, final: number): Rule {
  const found = escapes[text(intermediates) + String.fromCharCode(final)];
  if (found !== undefined || intermediates === 0) return found ?? 'answered';
  // Character sets of single bytes; `%` leaves UTF-8.
  return '()*+-./'.includes(text(intermediates)[0] ?? '%') ? 'pass' : 'never';
}

/** One or two characters, none for 0. */
function text(code: number): string {
  if (code === 0) return '';
  return code > 0xff ? String.fromCharCode(code >> 8, code & 0xff) : String.fromCharCode(code);
}

function each(names: string, rule: Rule): Record<string, Rule> {
  return Object.fromEntries(names.split(' ').map((name) => [name, rule]));
}

function modes(names: string, rule: Rule): [string, Rule][] {
  return names.split(' ').map((name) => [name, rule]);
}
