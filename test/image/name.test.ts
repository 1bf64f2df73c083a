import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { VmspawnError } from '../../src/errors.ts';
import { imageFormatOf, isMachineName, machineNameOf } from '../../src/image/name.ts';

test('machine names from file names', () => {
  const cases: [string, string][] = [
    ['/images/debian.raw', 'debian'],
    ['/images/debian.qcow2', 'debian'],
    ['/images/debian.IMG', 'debian'],
    ['/images/My_Image.v1.raw', 'MyImage.v1'],
    ['/images/debian.qcow2.img', 'debian'],
    ['/dev/vda', 'vda'],
    ['/images/.raw', 'raw'],
    ['/images/-a-.-b.', 'a.b'],
    ['/images/a..b', 'a.b'],
    ['/images/fedora 40 (x86).raw', 'fedora40x86'],
    [`/images/${'a'.repeat(100)}`, 'a'.repeat(64)],
    [`/images/${'a'.repeat(63)}-b`, 'a'.repeat(63)],
  ];
  for (const [path, name] of cases) assert.equal(machineNameOf(path), name);
});

test('a file name without a letter or digit asks for a name', () => {
  for (const path of ['/images/___.raw', '/images/日本.raw', '/', '/images/--']) {
    assert.throws(() => machineNameOf(path), { code: 'USAGE', hint: /--machine=NAME/ });
  }
});

test('every name that is found is valid', () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 100 }), (text) => {
      try {
        assert(isMachineName(machineNameOf(`/x/${text}`)));
      } catch (error) {
        assert(error instanceof VmspawnError, String(error));
      }
    }),
    { numRuns: 2000 },
  );
  for (const name of ['', '.', '-a', 'a-', 'a..b', 'a/b', '../x', 'a b', 'a\n', 'a%', 'ä', 'a'.repeat(65)]) {
    assert.equal(isMachineName(name), false, name);
  }
});

test('the format comes from what was said, else from the name', () => {
  assert.equal(imageFormatOf('/a.qcow2', null), 'qcow2');
  assert.equal(imageFormatOf('/a.qcow2', 'raw'), 'raw');
  assert.equal(imageFormatOf('/a.raw', 'qcow2'), 'qcow2');
  assert.equal(imageFormatOf('/a.img', null), 'raw');
  assert.equal(imageFormatOf('/a.qcow2.raw', null), 'raw');
});
