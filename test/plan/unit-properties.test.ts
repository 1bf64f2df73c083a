import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { UsageError } from '../../src/errors.ts';
import { unitProperty, unitPropertyNames } from '../../src/plan/unit-properties.ts';

const most = 2n ** 64n - 1n;
const zeros = (count: number): number[] => new Array<number>(count).fill(0);

/** An assignment, and what is on the bus: name, signature, value. */
const good: readonly (readonly [assignment: string, name: string, signature: string, value: unknown])[] = [
  ['CPUWeight=200', 'CPUWeight', 't', 200n],
  ['CPUWeight=idle', 'CPUWeight', 't', 0n],
  ['StartupCPUWeight=', 'StartupCPUWeight', 't', most],
  ['CPUQuota=150%', 'CPUQuotaPerSecUSec', 't', 1_500_000n],
  ['CPUQuota=0.5%', 'CPUQuotaPerSecUSec', 't', 5_000n],
  ['CPUQuota=5\u2030', 'CPUQuotaPerSecUSec', 't', 5_000n],
  ['CPUQuota=', 'CPUQuotaPerSecUSec', 't', most],
  ['CPUQuotaPeriodSec=10ms', 'CPUQuotaPeriodUSec', 't', 10_000n],
  ['CPUQuotaPeriodSec=', 'CPUQuotaPeriodUSec', 't', most],
  ['AllowedCPUs=0-3,8', 'AllowedCPUs', 'ay', [0b1111, 1]],
  ['AllowedCPUs=1 9', 'AllowedCPUs', 'ay', [2, 2]],
  ['AllowedMemoryNodes=0', 'AllowedMemoryNodes', 'ay', [1]],
  ['StartupAllowedCPUs=', 'StartupAllowedCPUs', 'ay', []],
  ['MemoryMax=6G', 'MemoryMax', 't', 6n * 1024n ** 3n],
  ['MemoryHigh=infinity', 'MemoryHigh', 't', most],
  ['MemoryMax=50%', 'MemoryMaxScale', 'u', 2_147_483_648],
  ['MemoryMax=100%', 'MemoryMaxScale', 'u', 2 ** 32 - 1],
  ['MemorySwapMax=0', 'MemorySwapMax', 't', 0n],
  ['MemorySwapMax=', 'MemorySwapMax', 't', most],
  ['MemoryZSwapMax=1M', 'MemoryZSwapMax', 't', 1024n ** 2n],
  ['MemoryLow=', 'MemoryLow', 't', 0n],
  ['DefaultMemoryMin=1K', 'DefaultMemoryMin', 't', 1024n],
  ['MemoryZSwapWriteback=off', 'MemoryZSwapWriteback', 'b', false],
  ['TasksMax=42', 'TasksMax', 't', 42n],
  ['TasksMax=10%', 'TasksMaxScale', 'u', 429_496_730],
  ['IOWeight=10000', 'IOWeight', 't', 10_000n],
  ['IODeviceWeight=/dev/sda 200', 'IODeviceWeight', 'a(st)', [['/dev/sda', 200n]]],
  ['IODeviceWeight=', 'IODeviceWeight', 'a(st)', []],
  ['IOReadBandwidthMax=/dev/sda 5M', 'IOReadBandwidthMax', 'a(st)', [['/dev/sda', 5_000_000n]]],
  ['IOWriteIOPSMax=/dev/sda infinity', 'IOWriteIOPSMax', 'a(st)', [['/dev/sda', most]]],
  ['IODeviceLatencyTargetSec=/dev/sda 25ms', 'IODeviceLatencyTargetUSec', 'a(st)', [['/dev/sda', 25_000n]]],
  ['IPAccounting=yes', 'IPAccounting', 'b', true],
  [
    'IPAddressAllow=10.0.0.0/8 ::1',
    'IPAddressAllow',
    'a(iayu)',
    [
      [2, [10, 0, 0, 0], 8],
      [10, [...zeros(15), 1], 128],
    ],
  ],
  [
    'IPAddressDeny=any',
    'IPAddressDeny',
    'a(iayu)',
    [
      [2, zeros(4), 0],
      [10, zeros(16), 0],
    ],
  ],
  [
    'IPAddressAllow=fe80::1:2/64',
    'IPAddressAllow',
    'a(iayu)',
    [[10, [0xfe, 0x80, ...zeros(11), 1, 0, 2], 64]],
  ],
  [
    'IPAddressAllow=::ffff:1.2.3.4',
    'IPAddressAllow',
    'a(iayu)',
    [[10, [...zeros(10), 255, 255, 1, 2, 3, 4], 128]],
  ],
  [
    'IPAddressAllow=localhost multicast',
    'IPAddressAllow',
    'a(iayu)',
    [
      [2, [127, 0, 0, 0], 8],
      [10, [...zeros(15), 1], 128],
      [2, [224, 0, 0, 0], 4],
      [10, [255, ...zeros(15)], 8],
    ],
  ],
  ['IPAddressAllow=', 'IPAddressAllow', 'a(iayu)', []],
  ['IPIngressFilterPath=/sys/fs/bpf/x', 'IPIngressFilterPath', 'as', ['/sys/fs/bpf/x']],
  ['BPFProgram=egress:/sys/fs/bpf/x', 'BPFProgram', 'a(ss)', [['egress', '/sys/fs/bpf/x']]],
  ['SocketBindAllow=ipv6:tcp:80-90', 'SocketBindAllow', 'a(iiqq)', [[10, 6, 11, 80]]],
  ['SocketBindAllow=udp:53', 'SocketBindAllow', 'a(iiqq)', [[0, 17, 1, 53]]],
  ['SocketBindAllow=1-65535', 'SocketBindAllow', 'a(iiqq)', [[0, 0, 65_535, 1]]],
  ['SocketBindDeny=any', 'SocketBindDeny', 'a(iiqq)', [[0, 0, 0, 0]]],
  ['SocketBindDeny=ipv4', 'SocketBindDeny', 'a(iiqq)', [[2, 0, 0, 0]]],
  ['RestrictNetworkInterfaces=lo eth0', 'RestrictNetworkInterfaces', '(bas)', [true, ['lo', 'eth0']]],
  ['RestrictNetworkInterfaces=~eth0', 'RestrictNetworkInterfaces', '(bas)', [false, ['eth0']]],
  ['NFTSet=cgroup:inet:filter:vms', 'NFTSet', 'a(iiss)', [[3, 1, 'filter', 'vms']]],
  ['DeviceAllow=/dev/kvm rw', 'DeviceAllow', 'a(ss)', [['/dev/kvm', 'rw']]],
  ['DeviceAllow=char-pts', 'DeviceAllow', 'a(ss)', [['char-pts', '']]],
  ['DeviceAllow=', 'DeviceAllow', 'a(ss)', []],
  ['DevicePolicy=closed', 'DevicePolicy', 's', 'closed'],
  ['Delegate=yes', 'Delegate', 'b', true],
  ['Delegate=cpu memory', 'DelegateControllers', 'as', ['cpu', 'memory']],
  ['Delegate=', 'DelegateControllers', 'as', []],
  ['DisableControllers=io', 'DisableControllers', 'as', ['io']],
  ['ManagedOOMSwap=kill', 'ManagedOOMSwap', 's', 'kill'],
  ['ManagedOOMMemoryPressureLimit=20%', 'ManagedOOMMemoryPressureLimit', 'u', 858_993_459],
  ['ManagedOOMMemoryPressureDurationSec=5s', 'ManagedOOMMemoryPressureDurationUSec', 't', 5_000_000n],
  ['ManagedOOMPreference=avoid', 'ManagedOOMPreference', 's', 'avoid'],
  ['MemoryPressureWatch=skip', 'MemoryPressureWatch', 's', 'skip'],
  ['MemoryPressureThresholdSec=200ms', 'MemoryPressureThresholdUSec', 't', 200_000n],
  ['RuntimeMaxSec=1min 30s', 'RuntimeMaxUSec', 't', 90_000_000n],
  ['TimeoutStopSec=infinity', 'TimeoutStopUSec', 't', most],
  ['OOMPolicy=kill', 'OOMPolicy', 's', 'kill'],
  ['KillMode=mixed', 'KillMode', 's', 'mixed'],
  ['KillSignal=SIGUSR1', 'KillSignal', 'i', 10],
  ['KillSignal=TERM', 'KillSignal', 'i', 15],
  ['KillSignal=9', 'KillSignal', 'i', 9],
  ['FinalKillSignal=SIGRTMIN+4', 'FinalKillSignal', 'i', 38],
  ['RestartKillSignal=RTMAX-1', 'RestartKillSignal', 'i', 63],
  ['SendSIGHUP=1', 'SendSIGHUP', 'b', true],
  ['Description=a "machine" of = mine', 'Description', 's', 'a "machine" of = mine'],
  [
    'Documentation=man:vmspawn(1) https://example.org/',
    'Documentation',
    'as',
    ['man:vmspawn(1)', 'https://example.org/'],
  ],
  ['After=a.service "b c.service"', 'After', 'as', ['a.service', 'b c.service']],
  ['CollectMode=inactive', 'CollectMode', 's', 'inactive'],
  ['JobTimeoutSec=5', 'JobTimeoutUSec', 't', 5_000_000n],
  ['SuccessActionExitStatus=', 'SuccessActionExitStatus', 'i', -1],
  ['SuccessActionExitStatus=3', 'SuccessActionExitStatus', 'i', 3],
];

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

function typed(assignment: string): ReturnType<typeof unitProperty> {
  const equals = assignment.indexOf('=');
  return unitProperty(assignment.slice(0, equals), assignment.slice(equals + 1));
}

suite('assignments have the types of the bus', () => {
  for (const [assignment, name, signature, value] of good) {
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
