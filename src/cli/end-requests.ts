/** How a signal has reached us: by itself, or passed on by the process in front of us. */
export type SignalWay = 'direct' | 'front';

/**
 * Counts signals that ask for the end. One that is sent to the whole process group (`kill %1`, timeout(1)) reaches us
 * and the front, and comes twice: it is one request.
 */
export class EndRequests {
  readonly #counts = new Map<NodeJS.Signals, { direct: number; front: number }>();

  /** Whether this one is a request that was not counted yet. */
  add(signal: NodeJS.Signals, way: SignalWay): boolean {
    const counts = this.#counts.get(signal) ?? { direct: 0, front: 0 };
    this.#counts.set(signal, counts);
    const before = Math.max(counts.direct, counts.front);
    counts[way] += 1;
    return counts[way] > before;
  }
}
