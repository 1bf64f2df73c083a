import { isatty } from 'node:tty';
import type { HostFacts } from './facts.ts';
import type { Environment } from './identity.ts';

/** Which of the standard descriptors are terminals, and the terminal's type where a guest may be told it. */
export function probeTerminal(environment: Environment): HostFacts['terminal'] {
  const [stdin, stdout, stderr] = [isatty(0), isatty(1), isatty(2)];
  const term = environment['TERM'];
  // Only what can stand on a kernel command line; `unknown` is what agetty says when nobody knows.
  const tellable =
    term !== undefined && term !== 'unknown' && /^[A-Za-z0-9][A-Za-z0-9._+-]{0,63}$/.test(term);
  return { stdin, stdout, stderr, term: stdout && tellable ? term : null };
}
