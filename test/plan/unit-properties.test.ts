import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { UsageError } from '../../src/errors.ts';
import { unitProperty, unitPropertyNames } from '../../src/plan/unit-properties.ts';
import { assignments, most, typed } from './assignments.ts';

const bad = [
  'CPUWeight=0',
  'CPUWeight=10001',
  'IOWeight=idle',
  'CPUQuota=150',
  'CPUQuota=0%',
  'CPUQuota=-5%',
  'AllowedCPUs=3-1',
  'AllowedCPUs=a',
  'AllowedCPUs=99999',
  'MemoryMax=lots',
  'MemoryMax=101%',
  'MemoryMax=99999999999E',
  'TasksMax=1K',
  'TasksMax=0',
  'IODeviceWeight=/dev/sda',
  'IOReadBandwidthMax=5M',
  'IPAccounting=maybe',
  'IPAddressAllow=1.2.3',
  'IPAddressAllow=1.2.3.4/33',
  'IPAddressAllow=1.2.3.256',
  'IPAddressAllow=::1::',
  'IPAddressAllow=1:2:3:4:5:6:7',
  'IPAddressAllow=1:2:3:4:5:6:7:8:9',
  'IPAddressAllow=example.org',
  'BPFProgram=/sys/fs/bpf/x',
  'SocketBindAllow=0',
  'SocketBindAllow=65536',
  'SocketBindAllow=tcp:ipv4:1',
  'SocketBindAllow=90-80',
  'RestrictNetworkInterfaces=a/b',
  'NFTSet=user:inet:a:b',
  'NFTSet=cgroup:inet:a',
  'DeviceAllow=/dev/kvm x',
  'DevicePolicy=open',
  'DisableControllers="io',
  'ManagedOOMMemoryPressureLimit=20',
  'RuntimeMaxSec=soon',
  'RuntimeMaxSec=',
  'KillSignal=SIGNOTHING',
  'KillSignal=65',
  'KillSignal=SIGRTMIN+31',
  'KillSignal=SIGRTMAX+1',
  'KillMode=all',
  'SuccessActionExitStatus=256',
  'Description=\0',
];

suite('assignments have the types of the bus', () => {
  for (const [assignment, name, signature, value] of assignments) {
    test(assignment, () => assert.deepEqual(typed(assignment), [{ name, signature, value }]));
  }
});

suite('a value of another type is refused with what is expected', () => {
  for (const assignment of bad) {
    test(JSON.stringify(assignment), () => {
      assert.throws(
        () => typed(assignment),
        (error) =>
          error instanceof UsageError &&
          error.message.startsWith(`--property=${assignment} has a value of another type, expected `),
      );
    });
  }
});

test('an unknown name is told with the nearest known one', () => {
  assert.throws(() => unitProperty('MemoryMxa', '1G'), {
    message: '--property=MemoryMxa=1G names no property of a scope, the nearest known one is MemoryMax',
  });
  assert.throws(() => unitProperty('memorymax', '1G'), /the nearest known one is MemoryMax$/);
  assert.throws(() => unitProperty('ExecStart', '/bin/true'), /names no property of a scope$/);
});

test('the slice has an option of its own', () => {
  assert.throws(() => unitProperty('Slice', 'a.slice'), {
    message: '--property=Slice=a.slice is given by an option of its own',
    hint: 'Use --slice=a.slice',
  });
});

test('whatever is assigned, there is one property or a UsageError', () => {
  const value = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.string({ unit: fc.constantFrom(...'0123456789.:/-%KMG ~,"\\') }),
  );
  fc.assert(
    fc.property(fc.constantFrom(...unitPropertyNames, 'X'), value, (name, text) => {
      try {
        const properties = unitProperty(name, text);
        assert.equal(properties.length, 1);
        for (const property of properties) {
          if (property.signature === 't') {
            assert.ok(typeof property.value === 'bigint' && property.value >= 0n && property.value <= most);
          }
          if (property.signature === 'u') assert.ok(Number.isInteger(property.value));
          if (property.signature === 'ay') assert.ok(Array.isArray(property.value));
        }
      } catch (error) {
        assert.ok(error instanceof UsageError, String(error));
        assert.ok(error.message.length < 400);
      }
    }),
    { numRuns: 5000 },
  );
});
