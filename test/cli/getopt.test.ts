import assert from 'node:assert/strict';
import { test } from 'node:test';
import { execaSync } from 'execa';
import fc from 'fast-check';
import { options } from '../../src/cli/options.ts';
import { ownGrammar, readOptions } from '../../src/cli/parse.ts';
import { UsageError } from '../../src/errors.ts';

const colons = (takes: boolean, optional: boolean) => (takes ? (optional ? '::' : ':') : '');
const longOptions = options.flatMap(({ name, argument, oldNames }) => [
  `${name}${colons(argument !== null, argument?.optional !== undefined)}`,
  ...(oldNames ?? []).map((old) => `${old.name}${colons(old.value === undefined, false)}`),
]);
const shortOptions = options.flatMap(({ short, argument }) =>
  short === undefined ? [] : [`${short}${colons(argument !== null, false)}`],
);

/** What getopt(1), and so the C library's getopt_long, makes of each list of words; null where it refuses. */
function reference(lists: readonly (readonly string[])[]): (string[] | null)[] {
  const script = `
    IFS= read -r -d '' count
    for ((list = 0; list < count; list++)); do
      IFS= read -r -d '' length
      words=()
      for ((word = 0; word < length; word++)); do IFS= read -r -d '' one; words+=("$one"); done
      if quoted=$(getopt -q -s bash -o "$1" -l "$2" -- "\${words[@]}"); then
        eval "set -- \\"\\$1\\" \\"\\$2\\" $quoted"
        printf '%s\\0' "$(($# - 2))" "\${@:3}"
      else
        printf '%s\\0' refused
      fi
    done`;
  const input = [lists.length, ...lists.flatMap((words) => [words.length, ...words])]
    .map((item) => `${item}\0`)
    .join('');
  const words = ['-c', script, 'bash', `+${shortOptions.join('')}`, longOptions.join(',')];
  const { stdout } = execaSync('bash', words, { input, stripFinalNewline: false });
  const items = stdout.split('\0');
  return lists.map(() => {
    const length = items.shift();
    return length === 'refused' ? null : items.splice(0, Number(length));
  });
}

/** Ours in the notation of getopt(1): options by their full names with the argument in a word of its own. */
function ours(words: readonly string[]): string[] | null {
  const found: string[] = [];
  try {
    const rest = readOptions(
      words,
      ({ name, option, fixed }, value) => {
        found.push(`--${name}`);
        if (option.argument !== null && fixed === null) found.push(value ?? '');
      },
      ownGrammar,
    );
    return [...found, '--', ...rest];
  } catch (error) {
    assert.ok(error instanceof UsageError, String(error));
    return null;
  }
}

/** getopt(1) leaves short options as they are. */
function withLongNames(words: string[] | null): string[] | null {
  if (words === null) return null;
  const long: string[] = [];
  for (let index = 0; index < words.length; index += 1) {
    const word = words[index] ?? '';
    if (word === '--') return [...long, ...words.slice(index)];
    const option = options.find(({ short, name }) => word === `-${short}` || word === `--${name}`);
    const old = options.find(({ oldNames }) => oldNames?.some(({ name }) => word === `--${name}`));
    const takes =
      option?.argument ?? (old?.oldNames?.some(({ value }) => value !== undefined) ? null : old?.argument);
    long.push(option === undefined ? word : `--${option.name}`);
    if (takes) {
      index += 1;
      long.push(words[index] ?? '');
    }
  }
  return long;
}

const names = longOptions.map((name) => name.replace(/:+$/, ''));
const name = fc.oneof(
  fc.constantFrom(...names),
  fc
    .tuple(fc.constantFrom(...names), fc.integer({ min: 1, max: 20 }))
    .map(([text, length]) => text.slice(0, length)),
);
const value = fc.constantFrom('', 'x', '-q', '--', '-', 'a b', "'", 'a=b', '--kvm', '\n', '\u00e4');
const word = fc.oneof(
  { weight: 4, arbitrary: name.map((text) => `--${text}`) },
  { weight: 4, arbitrary: fc.tuple(name, value).map(([text, more]) => `--${text}=${more}`) },
  {
    weight: 2,
    arbitrary: fc.string({ unit: fc.constantFrom(...'qhiMx=-'), maxLength: 4 }).map((text) => `-${text}`),
  },
  { weight: 1, arbitrary: value },
);

test('words are read as getopt_long of the C library reads them', () => {
  const lists = fc.sample(fc.array(word, { maxLength: 5 }), { numRuns: 800, seed: 20260101 });
  const expected = reference(lists).map(withLongNames);
  assert.ok(expected.filter((words) => words === null).length > 50);
  assert.ok(expected.filter((words) => words !== null && words.length > 3).length > 50);
  for (const [index, words] of lists.entries()) {
    assert.deepEqual(ours(words), expected[index], JSON.stringify(words));
  }
});
