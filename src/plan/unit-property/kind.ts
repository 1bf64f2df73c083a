/** What an assignment becomes: the property's name on the bus, which is not always the setting's, and its typed value. */
export interface Typed {
  readonly name: string;
  readonly signature: string;
  readonly value: unknown;
}

/** How the value of a setting is written, and what it is on the bus. */
export interface Kind {
  /** What a value looks like, for a message: "expected ...". */
  readonly expected: string;
  /** Null for a value that is none of this kind. */
  read(name: string, value: string): Typed | null;
}

/** A kind whose properties have the name of the setting. */
export function kind(signature: string, expected: string, read: (value: string) => unknown | null): Kind {
  return {
    expected,
    read(name, value) {
      const typed = read(value);
      return typed === null ? null : { name, signature, value: typed };
    },
  };
}

/** The same kind under the name that the bus has for it. */
export function renamed(original: Kind, rename: (name: string) => string): Kind {
  return { expected: original.expected, read: (name, value) => original.read(rename(name), value) };
}

/** Where the empty value stands for something too. */
export function orEmpty(original: Kind, signature: string, empty: unknown): Kind {
  return {
    expected: original.expected,
    read: (name, value) => (value === '' ? { name, signature, value: empty } : original.read(name, value)),
  };
}

/** Lists that every assignment adds to; the empty value clears them. `read` gives the entries of one assignment. */
export function list(
  signature: string,
  expected: string,
  read: (value: string) => readonly unknown[] | null,
): Kind {
  return kind(signature, expected, (value) => (value === '' ? [] : read(value)));
}
