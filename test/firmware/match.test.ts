import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { FirmwareDescriptor } from '../../src/firmware/descriptor.ts';
import { checkNamedFirmware, noFirmwareError } from '../../src/firmware/failure.ts';
import {
  allFeatures,
  type FirmwareRequest,
  matchesMachine,
  nearestRejection,
  selectFirmware,
  withSecureBoot,
} from '../../src/firmware/match.ts';
import { descriptor } from './samples.ts';

const request: FirmwareRequest = {
  interface: 'uefi',
  architecture: 'x86_64',
  machine: { name: 'pc-q35-7.2', alias: 'q35' },
  include: [],
  exclude: ['enrolled-keys'],
  nvramTemplate: true,
};
const executable = { filename: '/code', format: 'raw' } as const;
const enrolled = descriptor('/40-enrolled.json', {
  features: ['secure-boot', 'enrolled-keys', 'requires-smm'],
});
const secure = descriptor('/50-secure.json', { features: ['secure-boot', 'requires-smm'] });
const plain = descriptor('/60-plain.json', { features: ['acpi-s3'] });
const host = [enrolled, secure, plain];

const reasonFor = (changes: Partial<FirmwareDescriptor>, asked: Partial<FirmwareRequest> = {}) => {
  const selection = selectFirmware([descriptor('/x.json', changes)], { ...request, ...asked });
  assert.equal(selection.chosen, null);
  return selection.rejected[0]?.reason;
};

test('the first that fits is chosen', () => {
  const selection = selectFirmware(host, request);
  assert.equal(selection.chosen, secure);
  assert.deepEqual(selection.rejected, [
    { descriptor: enrolled, filter: 'exclude', reason: 'it has the excluded feature enrolled-keys' },
  ]);
});

test('features: include beats exclude, secure boot adds to either', () => {
  const choose = (include: string[], exclude: string[], secureBoot: boolean | 'auto') =>
    selectFirmware(host, { ...request, ...withSecureBoot({ include, exclude }, secureBoot) }).chosen;
  assert.equal(choose(['enrolled-keys'], ['enrolled-keys'], 'auto'), enrolled);
  assert.equal(choose([], ['enrolled-keys'], true), secure);
  assert.equal(choose([], [], true), enrolled);
  assert.equal(choose([], ['enrolled-keys'], false), plain);
  assert.equal(choose(['secure-boot'], [], false), plain);
  assert.equal(choose([], ['secure-boot'], true), enrolled);
  assert.equal(choose(['secure-boot'], ['enrolled-keys'], 'auto'), secure);
});

test('why a descriptor does not fit', () => {
  assert.match(
    String(reasonFor({ mapping: { device: 'other', name: 'kernel' } })),
    /"kernel" names no firmware/,
  );
  assert.match(String(reasonFor({ mapping: { device: 'flash', mode: 'combined', executable } })), /one file/);
  assert.equal(reasonFor({ interfaceTypes: ['bios'] }), 'it does not offer the interface uefi');
  assert.equal(
    reasonFor({ mapping: { device: 'flash', mode: 'stateless', executable } }),
    'it has no template for the variable store',
  );
  assert.equal(reasonFor({ targets: [] }), 'it is not for the architecture x86_64');
  assert.equal(
    reasonFor({ targets: [{ architecture: 'aarch64', machines: ['*'] }] }),
    'it is not for the architecture x86_64',
  );
  assert.equal(
    reasonFor({ targets: [{ architecture: 'x86_64', machines: [] }] }),
    'it is not for the machine type pc-q35-7.2',
  );
  assert.equal(
    reasonFor({ features: ['b'] }, { include: ['a', 'b', 'c', 'd'] }),
    'it lacks the features a, c and d',
  );
  assert.equal(
    reasonFor({ features: ['a', 'b'] }, { exclude: ['a', 'b'] }),
    'it has the excluded features a and b',
  );
});

test('without a kept variable store a stateless firmware and one in memory fit', () => {
  for (const mapping of [
    { device: 'flash', mode: 'stateless', executable },
    { device: 'memory', filename: '/bios' },
  ] as const) {
    const only = descriptor('/x.json', { mapping });
    assert.equal(selectFirmware([only], { ...request, nvramTemplate: false }).chosen, only);
  }
});

test('machine patterns', () => {
  const newest = { name: 'pc-q35-7.2', alias: 'q35' };
  const older = { name: 'pc-q35-6.2', alias: null };
  const i440fx = { name: 'pc-i440fx-7.2', alias: 'pc' };
  const virt = { name: 'virt-7.2', alias: 'virt' };
  const cases: [string, { name: string; alias: string | null }, boolean][] = [
    ['pc-q35-*', newest, true],
    ['pc-q35-*', older, true],
    ['pc-q35-7.2', newest, true],
    ['pc-q35-7.2', older, false],
    ['q35', newest, true],
    ['q35', older, true],
    ['*q35*', newest, true],
    ['pc-*', newest, true],
    ['pc', newest, false],
    ['pc-i440fx-*', newest, false],
    ['*', newest, true],
    ['', newest, false],
    ['pc', i440fx, true],
    ['q35', i440fx, false],
    ['virt-*', virt, true],
    ['virt', virt, true],
    ['virt', { name: 'virt-6.0', alias: null }, true],
    ['pc-q35-*', { name: 'q35', alias: 'q35' }, true],
    ['q35', { name: 'q35', alias: null }, true],
    ['pc-i440fx-*', { name: 'q35', alias: 'q35' }, false],
    ['pc-i440fx-*', { name: 'pc', alias: null }, true],
    ['virt-*', { name: 'virt', alias: null }, true],
    ['microvm', { name: 'microvm', alias: null }, true],
  ];
  for (const [pattern, machine, expected] of cases) {
    assert.equal(matchesMachine(pattern, machine), expected, `${pattern} for ${machine.name}`);
  }
});

test('the list of features is sorted and has each once', () => {
  assert.deepEqual(allFeatures(host), ['acpi-s3', 'enrolled-keys', 'requires-smm', 'secure-boot']);
});

test('nothing fits: the error tells about the nearest, or about what to install', () => {
  const other = descriptor('/10-arm.json', { targets: [{ architecture: 'aarch64', machines: ['virt-*'] }] });
  const asked = { ...request, include: ['intel-tdx', 'amd-sev'] };
  const selection = selectFirmware([other, ...host], asked);
  assert.equal(nearestRejection(selection)?.descriptor, enrolled);
  const unfit = noFirmwareError(asked, selection, []);
  assert.equal(
    unfit.message,
    'None of the installed UEFI firmware fits x86_64 and the machine type pc-q35-7.2; the nearest is /40-enrolled.json, but it lacks the features intel-tdx and amd-sev',
  );
  const none = noFirmwareError(request, selectFirmware([], request), []);
  assert.equal(none.message, 'No UEFI firmware for x86_64 is installed');
  assert.match(String(none.hint), /ovmf on Debian, edk2-ovmf on Fedora and Arch/);
  const broken = noFirmwareError(request, selectFirmware([], request), [
    { path: '/etc/qemu/firmware/a.json', reason: 'it is not JSON' },
  ]);
  assert.match(
    broken.message,
    /one descriptor could not be used, first \/etc\/qemu\/firmware\/a.json: it is not JSON/,
  );
});

test('a named firmware is checked for what cannot work only', () => {
  checkNamedFirmware(plain, 'auto', host);
  checkNamedFirmware(descriptor('/x', { targets: [], interfaceTypes: ['bios'] }), false, host);
  checkNamedFirmware(secure, true, host);
  assert.throws(() => checkNamedFirmware(plain, true, host), {
    code: 'FIRMWARE',
    message: 'Secure Boot is asked for, but the firmware /60-plain.json lacks the feature secure-boot',
    hint: 'It is offered by /40-enrolled.json, /50-secure.json.',
  });
  assert.throws(() => checkNamedFirmware(plain, true, [plain]), { hint: /No other firmware/ });
  const combined = descriptor('/c.json', { mapping: { device: 'flash', mode: 'combined', executable } });
  assert.throws(() => checkNamedFirmware(combined, 'auto', host), /code and variables in one file/);
  const kernel = descriptor('/k.json', { mapping: { device: 'other', name: 'kernel' } });
  assert.throws(() => checkNamedFirmware(kernel, 'auto', host), /"kernel", which names no firmware file/);
});
