/** Which signals somebody wants to hear. */
export interface SignalMatch {
  /** A unique name, or a well-known one: then its owner of the moment is meant. */
  readonly sender?: string;
  readonly path?: string;
  readonly interface: string;
  readonly member: string;
  /** The first value, a string. */
  readonly arg0?: string;
}

/** The match as the bus takes it (D-Bus specification, "Match Rules"). */
export function signalRule(match: SignalMatch): string {
  const pairs = Object.entries({ type: 'signal', ...match }).filter(([, value]) => value !== undefined);
  // Nothing is escaped within quotes, a quote is outside of them.
  return pairs.map(([key, value]) => `${key}='${String(value).replaceAll("'", "'\\''")}'`).join(',');
}

/** Whether a signal fits, but for `arg0`, which stands in its body. `owner` is who has the name `sender`, if known. */
export function signalMatches(
  match: SignalMatch,
  owner: string | undefined,
  signal: {
    readonly sender: string;
    readonly path: string;
    readonly interface: string;
    readonly member: string;
  },
): boolean {
  return (
    signal.member === match.member &&
    signal.interface === match.interface &&
    (match.path === undefined || signal.path === match.path) &&
    // Anybody may send us a signal, whatever we asked the bus for.
    (match.sender === undefined || (signal.sender !== '' && [match.sender, owner].includes(signal.sender)))
  );
}
