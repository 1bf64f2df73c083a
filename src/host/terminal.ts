import { isatty } from 'node:tty';
import type { HostFacts } from './facts.ts';
import type { Environment } from './identity.ts';

/** What there is to show a guest on: a desktop, and the type of our terminal where the guest may be told it. */
export function probeTerminal(environment: Environment): HostFacts['terminal'] {
  const graphical = ['DISPLAY', 'WAYLAND_DISPLAY'].some((name) => (environment[name] ?? '') !== '');
  const term = environment['TERM'];
  // Only what can stand on a kernel command line; `unknown` is what agetty says when nobody knows.
  const tellable =
    term !== undefined && term !== 'unknown' && /^[A-Za-z0-9][A-Za-z0-9._+-]{0,63}$/.test(term);
  return { graphical, term: isatty(1) && tellable ? term : null, interactive: isatty(0) };
}
