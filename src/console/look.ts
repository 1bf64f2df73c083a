import { allowedByDefault, type Reach } from './terminal-reach.ts';

/** How the user's terminal looks while it shows a guest, and what the guest may do to it. */
export interface Look {
  /** SGR parameters of the background; `ask` tints that of the terminal, which is asked for it; null leaves it as it is. */
  readonly tint: string | null;
  /** Written before and after everything else, and around a stop: title, context. */
  readonly start: string;
  readonly end: () => string;
  /** The terminal knows no sequences, or nobody knows which ($TERM): it is sent none as long as the guest sends none. */
  readonly dumb: boolean;
  /** What the guest may reach outside of its part of the screen. */
  readonly allow: ReadonlySet<Reach>;
}

/** Nothing but the guest. */
export const plainLook: Look = { tint: null, start: '', end: () => '', dumb: false, allow: allowedByDefault };
