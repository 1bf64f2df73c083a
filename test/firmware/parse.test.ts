import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { DescriptorError, parseDescriptor } from '../../src/firmware/parse.ts';
import { content } from './samples.ts';

const parse = (value: unknown) => parseDescriptor('/x.json', JSON.stringify(value));

function reasonFor(value: unknown): string {
  try {
    parse(value);
  } catch (error) {
    assert(error instanceof DescriptorError);
    return error.message;
  }
  return assert.fail('was accepted');
}

test('a split flash descriptor', () => {
  assert.deepEqual(parse(content({ unknown: 1 })), {
    path: '/x.json',
    description: 'UEFI firmware for x86_64',
    interfaceTypes: ['uefi'],
    mapping: {
      device: 'flash',
      mode: 'split',
      executable: { filename: '/usr/share/OVMF/OVMF_CODE_4M.fd', format: 'raw' },
      nvramTemplate: { filename: '/usr/share/OVMF/OVMF_VARS_4M.fd', format: 'raw' },
    },
    targets: [{ architecture: 'x86_64', machines: ['pc-q35-*'] }],
    features: ['acpi-s3'],
    tags: [],
  });
});

test('the other mappings', () => {
  const executable = { filename: '/code.qcow2', format: 'qcow2' };
  for (const mode of ['stateless', 'combined']) {
    const mapping = { device: 'flash', mode, executable };
    assert.deepEqual(parse(content({ mapping })).mapping, mapping);
  }
  const memory = { device: 'memory', filename: '/bios.bin' };
  assert.deepEqual(parse(content({ mapping: memory })).mapping, memory);
  assert.deepEqual(parse(content({ mapping: { device: 'kernel', filename: 'x' } })).mapping, {
    device: 'other',
    name: 'kernel',
  });
});

test('every member is mandatory', () => {
  for (const key of Object.keys(content())) {
    assert.equal(reasonFor(content({ [key]: undefined })), `${key} is missing`);
  }
});

test('a reason names the JSON path', () => {
  const executable = { filename: '/code', format: 'raw' };
  const cases: [unknown, string][] = [
    [[], 'the descriptor must be an object, not an array'],
    [null, 'the descriptor must be an object, not null'],
    [content({ description: 7 }), 'description must be a string, not a number'],
    [content({ features: {} }), 'features must be an array, not an object'],
    [content({ features: ['a', 1] }), 'features[1] must be a string, not a number'],
    [content({ features: ['a\nb'] }), 'features[0] is "a\\nb", which is no word'],
    [content({ mapping: 'flash' }), 'mapping must be an object, not a string'],
    [content({ mapping: {} }), 'mapping.device is missing'],
    [content({ mapping: { device: 'flash' } }), 'mapping.executable is missing'],
    [content({ mapping: { device: 'flash', executable } }), 'mapping.nvram-template is missing'],
    [
      content({ mapping: { device: 'flash', mode: 'x', executable } }),
      'mapping.mode is "x", which is none of split, stateless and combined',
    ],
    [
      content({ mapping: { device: 'flash', executable: { filename: '/code', format: 'vmdk' } } }),
      'mapping.executable.format is "vmdk", which is neither raw nor qcow2',
    ],
    [
      content({ mapping: { device: 'memory', filename: 'bios.bin' } }),
      'mapping.filename is "bios.bin", which is no absolute path',
    ],
    [
      content({ mapping: { device: 'memory', filename: '/bios\0.bin' } }),
      'mapping.filename contains a NUL byte',
    ],
    [content({ targets: [{ architecture: 'x86_64' }] }), 'targets[0].machines is missing'],
    [content({ targets: [1] }), 'targets[0] must be an object, not a number'],
  ];
  for (const [value, reason] of cases) assert.equal(reasonFor(value), reason);
});

test('deep nesting and duplicate or inherited names do no harm', () => {
  const deep = `${'['.repeat(200_000)}${']'.repeat(200_000)}`;
  assert.throws(() => parseDescriptor('/x.json', deep), DescriptorError);
  const text = JSON.stringify(content());
  assert.equal(parseDescriptor('/x.json', `${text.slice(0, -1)},"x":${deep}}`).features.length, 1);
  assert.throws(
    () => parseDescriptor('/x.json', `{"__proto__": ${text}}`),
    new DescriptorError('description is missing'),
  );
});

test('whatever is there, it is a descriptor or a DescriptorError', () => {
  const hostile = fc.oneof(fc.jsonValue(), fc.constantFrom('flash', 'memory', 'split', '/x', 'raw', ''));
  const at = fc.constantFrom(...Object.keys(content()));
  fc.assert(
    fc.property(
      at,
      hostile,
      fc.constantFrom('', 'executable', 'device', 'mode', 'filename'),
      (key, value, inner) => {
        const mapping = content()['mapping'] as object;
        const changed = content(
          inner === '' ? { [key]: value } : { mapping: { ...mapping, [inner]: value } },
        );
        try {
          parse(changed);
        } catch (error) {
          assert(error instanceof DescriptorError, String(error));
        }
      },
    ),
    { numRuns: 1000 },
  );
  fc.assert(
    fc.property(fc.string(), (text) => {
      assert.throws(() => parseDescriptor('/x.json', text), DescriptorError);
    }),
  );
});
