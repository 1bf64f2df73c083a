import type { Sequence } from './escape-sequence.ts';

/** Resources have one digit: 4, for all keys but cursor and function keys, is the one that programs set. */
const resources = /^0*([0-7])$/;

/**
 * Follows how a guest wants modified keys to be reported (xterm's ctlseqs, XTMODKEYS: `CSI > Pp ; Pv m` sets a resource
 * or puts it back, `CSI > Pp n` disables it).
 */
export class KeyModifiers {
  /** For each resource that was touched the last sequence about it. */
  readonly #touched = new Map<string, string>();

  /** Takes a sequence with the final byte `m` or `n` and the prefix `>` that goes to the terminal. */
  see({ data, start, end, bodyStart, bodyEnd, final }: Sequence): void {
    const [parameter = ''] = data.toString('latin1', bodyStart, bodyEnd).split(';');
    // Without one `m` puts all back, and `n` disables that of the function keys.
    const [, resource] = resources.exec(parameter === '' && final === 0x6e ? '2' : parameter) ?? [];
    if (resource !== undefined) this.#touched.set(resource, data.toString('latin1', start, end));
    else if (parameter === '') this.reset();
  }

  /** The terminal has put all back. */
  reset(): void {
    for (const resource of this.#touched.keys()) this.#touched.set(resource, untouched(resource));
  }

  /** What gives the keyboard back to the host. */
  undo(): string {
    return [...this.#touched.keys()].map(untouched).join('');
  }

  /** What to write after `undo` when the guest has the keyboard again. */
  again(): string {
    return [...this.#touched.values()].join('');
  }
}

function untouched(resource: string): string {
  return `\x1b[>${resource}m`;
}

/** What gives the keyboard back where nothing is known of what the guest has done. */
export const undoAnyModifiers = untouched('4');
