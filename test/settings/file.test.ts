import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { UsageError } from '../../src/errors.ts';
import { parseSettingsFile, settingsFileLimit } from '../../src/settings/file.ts';

/** Assignments as `LINE [SECTION] KEY=VALUE`. */
function read(text: string | Buffer): string[] {
  return parseSettingsFile(Buffer.from(text), '/f').map(
    ({ line, section, key, value }) => `${line} [${section}] ${key}=${value}`,
  );
}

suite('grammar', () => {
  const cases: { readonly [what: string]: readonly [text: string, ...expected: string[]] } = {
    'sections and assignments': ['[A]\nX=1\n[B]\nY=2', '2 [A] X=1', '4 [B] Y=2'],
    'blanks around keys and values': ['  [A]  \n\t X \t=\t a b \t', '2 [A] X=a b'],
    'comments and empty lines': ['# X\n\n ; [B]\n[A]\n#=\nX=1 # no comment', '6 [A] X=1 # no comment'],
    'the first equals sign separates': ['[A]\nX=a=b==', '2 [A] X=a=b=='],
    'an empty value': ['[A]\nX=', '2 [A] X='],
    'a repeated key': ['[A]\nX=1\nX=2', '2 [A] X=1', '3 [A] X=2'],
    'quotes stay': ['[A]\nX="a" \'b\'', '2 [A] X="a" \'b\''],
    'a continued line': ['[A]\nX=a\\\n  b\\\nc\nY=1', '2 [A] X=a b c', '5 [A] Y=1'],
    'a continued line that begins with nothing': ['[A]\n\\\nX=1', '2 [A] X=1'],
    'a comment inside a continued line': ['[A]\nX=a\\\n# no\n; no\nb', '2 [A] X=a b'],
    'an empty line ends a continued one': ['[A]\nX=a\\\n\nY=1', '2 [A] X=a', '4 [A] Y=1'],
    'a continued line at the end': ['[A]\nX=a\\', '2 [A] X=a'],
    'two backslashes continue nothing': ['[A]\nX=a\\\\\nY=1', '2 [A] X=a\\\\', '3 [A] Y=1'],
    'a backslash before a blank continues nothing': ['[A]\nX=a\\ \nY=1', '2 [A] X=a\\', '3 [A] Y=1'],
    'a comment that ends in a backslash': ['[A]\n# a\\\nX=1', '3 [A] X=1'],
    'line ends of other systems': ['[A]\r\nX=1\r\n', '2 [A] X=1'],
    'a byte order mark': ['\ufeff[A]\nX=1', '2 [A] X=1'],
    'what is left for others': ['[X-A]\nY=1\n[A]\nX-Y=1\nZ=1', '5 [A] Z=1'],
    'letters of all scripts': ['[A]\nX=\u00e4\u{1f600}', '2 [A] X=\u00e4\u{1f600}'],
    nothing: [''],
  };
  for (const [what, [text, ...expected]] of Object.entries(cases)) {
    test(what, () => assert.deepEqual(read(text), expected));
  }
});

suite('errors name file and line', () => {
  const cases: { readonly [message: string]: string | Buffer } = {
    '/f:2: nonsense is no assignment.': '[A]\nnonsense',
    '/f:3: =1 is no assignment.': '[A]\n\n=1',
    '/f:1: X= stands before any section.': 'X=1',
    '/f:1: [A is no section in brackets.': '[A',
    '/f:1: [] is no section in brackets.': '[]',
    '/f:1: [A] X=1 is no section in brackets.': '[A] X=1',
    '/f:2: b c is no assignment.': '[A]\nb\\\nc',
    '/f:2: There is a NUL character.': '[A]\nX=\0',
    '/f:2: The text is not UTF-8.': Buffer.from('[A]\nX=\xff\n', 'latin1'),
    '/f:2: a\\x1b[1m is no assignment.': '[A]\na\u001b[1m',
  };
  for (const [message, text] of Object.entries(cases)) {
    test(message, () => {
      assert.throws(
        () => read(text),
        (error) => error instanceof UsageError && error.message === message,
      );
    });
  }
  test('a file of more than 1 MiB', () => {
    assert.deepEqual(read('#'.repeat(settingsFileLimit)), []);
    assert.throws(() => read('#'.repeat(settingsFileLimit + 1)), /is larger than 1 MiB/);
  });
});

test('any bytes give assignments or a UsageError of one line', () => {
  const line = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.constantFrom('[A]', 'X=1', '\\', '#\\', 'X=\\', '[', ']', '=', ' ', '\r'),
  );
  fc.assert(
    fc.property(
      fc.oneof(
        fc.array(line).map((lines) => Buffer.from(lines.join('\n'))),
        fc.uint8Array(),
      ),
      (bytes) => {
        try {
          for (const { line, section, key, value } of parseSettingsFile(Buffer.from(bytes), '/f')) {
            assert.ok(
              line >= 1 && section !== '' && key !== '' && key === key.trim() && value === value.trim(),
            );
          }
        } catch (error) {
          assert.ok(error instanceof UsageError, String(error));
          assert.match(error.message, /^\/f:\d+: [^\n]{1,120}\.$/);
        }
      },
    ),
    { numRuns: 2000 },
  );
});

test('assignments written down and read again are the same', () => {
  const word = fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9-]{0,8}$/).filter((name) => !name.startsWith('X-'));
  const value = fc.stringMatching(/^[^\0\r\n\\\ud800-\udfff]{0,20}$/).map((text) => text.trim());
  fc.assert(
    fc.property(fc.array(fc.tuple(word, word, value)), (entries) => {
      const text = entries.map(([section, key, entry]) => `[${section}]\n${key} = ${entry}\n`).join('');
      assert.deepEqual(
        parseSettingsFile(Buffer.from(text), '/f').map(({ section, key, value }) => [section, key, value]),
        entries,
      );
    }),
  );
});
