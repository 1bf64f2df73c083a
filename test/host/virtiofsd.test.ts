import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseSubordinate, parseVirtiofsd } from '../../src/host/virtiofsd.ts';

const help = '      --readonly\n          Prevent\n      --translate-uid <TRANSLATE_UID>\n';

test('the daemon in C and the one in Rust are told apart by their version', () => {
  const c =
    'virtiofsd version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18+b3)\nCopyright (c) 2003-2022 Fabrice Bellard';
  assert.deepEqual(parseVirtiofsd(c, help), {
    dialect: 'c',
    version: '7.2.22',
    readOnly: false,
    translate: false,
  });
  assert.deepEqual(parseVirtiofsd('virtiofsd 1.13.2\n', help), {
    dialect: 'rust',
    version: '1.13.2',
    readOnly: true,
    translate: true,
  });
  assert.deepEqual(parseVirtiofsd('virtiofsd backend 1.2.0\n', '--shared-dir'), {
    dialect: 'rust',
    version: '1.2.0',
    readOnly: false,
    translate: false,
  });
  // What an ordinary user gets from the one in C.
  const refused = parseVirtiofsd('setgroups() failed with error=1:Operation not permitted\n', '');
  assert.equal(refused?.dialect, 'c');
  assert.equal(parseVirtiofsd('bash: virtiofsd: not found', ''), null);
});

test('what is kept in the cache is read back as the same', () => {
  const kept = 'virtiofsd 1.13.2\n\n--readonly\n--translate-uid';
  assert.deepEqual(parseVirtiofsd(kept, kept), parseVirtiofsd('virtiofsd 1.13.2\n', help));
});

test('subordinate numbers: the first range of a name or a number', () => {
  const text = 'root:1:2\n# tester\ntester:100000:65536\n1000:200000:5\ntester:300000:5\n';
  assert.deepEqual(parseSubordinate(text, ['1000', 'tester']), { base: 100000, count: 65536 });
  assert.deepEqual(parseSubordinate(text, ['1000']), { base: 200000, count: 5 });
  assert.equal(parseSubordinate(text, ['nobody']), null);
  assert.equal(parseSubordinate('a:5:0\na:x:1\na:1', ['a']), null);
});

test('no text makes the parsers throw', () => {
  fc.assert(
    fc.property(fc.string(), fc.string(), (one, two) => {
      parseVirtiofsd(one, two);
      parseSubordinate(one, [two]);
    }),
  );
});
