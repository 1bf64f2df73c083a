import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { renderFstab } from '../../src/plan/guest-mounts.ts';

test('a line for each mount, with six fields', () => {
  const mount = { what: 'mnt0', type: 'virtiofs', options: ['ro', 'x-initrd.mount'] };
  assert.equal(renderFstab([{ ...mount, where: '/data' }]), 'mnt0 /data virtiofs ro,x-initrd.mount 0 0\n');
});

test('no path breaks out of its field, and it is read back as fstab(5) has it', () => {
  const path = fc.string({
    unit: fc.constantFrom('a', '/', ' ', '\t', '\n', '\\', '#', '\u00a0', '0'),
    minLength: 1,
  });
  fc.assert(
    fc.property(path, (where) => {
      const text = renderFstab([{ what: 'mnt0', where, type: 'virtiofs', options: ['rw'] }]);
      const fields = text.replace(/\n$/, '').split(/[ \t\n]/);
      assert.equal(fields.length, 6);
      const read = fields[1]?.replace(/\\([0-7]{3})/g, (_all, digits: string) =>
        String.fromCharCode(Number.parseInt(digits, 8)),
      );
      assert.equal(read, where);
    }),
  );
});
