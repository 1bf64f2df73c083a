import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  compareEntries,
  parseDefault,
  parseEntry,
  unifiedEntry,
} from '../../src/image/boot-loader-entries.ts';

test('an entry: the last of each key, initrds and options add up', () => {
  const text = `# a comment
title      Debian
version 6.12
machine-id 11111111111111111111111111111111
sort-key debian
options    root=UUID=1 rw
options quiet
linux /old
linux      /1/linux
initrd     /1/one
initrd /1/two
architecture X64
`;
  assert.deepEqual(parseEntry('debian+3-1.conf', text, 'x86_64'), {
    id: 'debian',
    file: 'debian+3-1.conf',
    type: 1,
    kernel: '/1/linux',
    initrds: ['/1/one', '/1/two'],
    options: ['root=UUID=1', 'rw', 'quiet'],
    sortKey: 'debian',
    machineId: '11111111111111111111111111111111',
    version: '6.12',
    bad: false,
  });
  assert.equal(parseEntry('a.conf', text, 'aarch64'), null);
  assert.equal(parseEntry('a.conf', 'title x\n', 'x86_64'), null);
  assert.equal(parseEntry('a.conf', 'uki /EFI/Linux/a.efi\n', 'x86_64')?.kernel, '/EFI/Linux/a.efi');
});

test('what loader.conf names', () => {
  assert.equal(parseDefault('timeout 3\ndefault debian-*\n'), 'debian-*');
  assert.equal(parseDefault('default a\n default b \n#default c\n'), 'b');
  assert.equal(parseDefault('default @saved'), null);
  assert.equal(parseDefault(''), null);
});

test('entries are offered newest first, with sort keys first and failed ones last', () => {
  const entry = (file: string, text = '') => {
    const parsed = parseEntry(file, `linux /x\n${text}`, 'x86_64');
    assert.ok(parsed);
    return parsed;
  };
  const sorted = [
    entry('z.conf', 'sort-key a\nversion 2\n'),
    entry('y.conf', 'sort-key a\nversion 1\n'),
    entry('x.conf', 'sort-key b\nversion 9\n'),
    unifiedEntry('linux-6.10.efi'),
    unifiedEntry('linux-6.9.efi'),
    unifiedEntry('linux-6.11+0-3.efi'),
  ];
  assert.deepEqual(
    [...sorted]
      .reverse()
      .sort(compareEntries)
      .map(({ file }) => file),
    sorted.map(({ file }) => file),
  );
});

test('no text makes the parser throw', () => {
  const line = fc.oneof(
    fc.string(),
    fc.constantFrom('linux /x', 'initrd a', 'options ', 'sort-key', 'version\t1'),
  );
  fc.assert(
    fc.property(fc.string(), fc.array(line), (file, lines) => {
      const entry = parseEntry(file, lines.join('\n'), 'x86_64');
      if (entry !== null) assert.ok(entry.options.every((word) => /^\S+$/.test(word)));
      parseDefault(lines.join('\n'));
    }),
  );
});
