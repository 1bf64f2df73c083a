import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { QemuError } from '../../src/errors.ts';
import { list, renderArguments } from '../../src/qemu/arguments.ts';
import type { Properties, QemuConfiguration } from '../../src/qemu/configuration.ts';
import type { JsonObject } from '../../src/qemu/messages.ts';
import { minimal, startQemu } from './start-qemu.ts';

/** QEMU's own way to read a list: util/keyval.c and util/qemu-option.c agree on commas and equals signs. */
function parseList(text: string): [string | null, string][] {
  const parts: string[] = [];
  let part = '';
  for (let index = 0; index < text.length; index += 1) {
    if (text[index] !== ',') part += text[index];
    else if (text[index + 1] === ',') {
      part += ',';
      index += 1;
    } else {
      parts.push(part);
      part = '';
    }
  }
  parts.push(part);
  return parts.map((part, index) => {
    const equals = part.indexOf('=');
    if (equals === -1 && index === 0) return [null, part];
    return [part.slice(0, equals), part.slice(equals + 1)];
  });
}

/** Text that QEMU accepts anywhere: no NUL, no lone surrogates, none of the code points that Unicode calls non-characters. */
const text = fc
  .string({
    unit: fc.oneof(
      fc.constantFrom(
        ',',
        ',,',
        '=',
        '"',
        "'",
        '\\',
        ' ',
        '{',
        '}',
        '$',
        '`',
        '%',
        '\n',
        '\t',
        'on',
        'é',
        '漢',
        '\u{1f600}',
      ),
      fc.string({ unit: 'grapheme', minLength: 1, maxLength: 3 }),
    ),
    maxLength: 30,
  })
  .filter((value) => !/[\0\p{Noncharacter_Code_Point}\p{Surrogate}]/u.test(value));

describe('renderArguments', () => {
  test('the order is fixed and every option is said the way QEMU 7.2 takes it', () => {
    const configuration: QemuConfiguration = {
      ...minimal('debian'),
      accelerator: { name: 'kvm', properties: { device: '/dev/fdset/1' } },
      cpu: 'host,migratable=off',
      smp: { cpus: 3 },
      memory: { size: 2 * 1024 ** 3, max: 4 * 1024 ** 3 + 4096, slots: 2 },
      bios: '/usr/share/seabios/bios-256k.bin',
      kernel: { image: '/boot/vmlinuz', initrd: '/dev/fdset/9', commandLine: 'console=hvc0,115200 quiet' },
      smbios11: ['io.systemd.credential:a=b,c'],
      sandbox: { obsolete: 'deny', spawn: 'deny' },
      globals: [{ driver: 'ICH9-LPC', property: 'disable_s3', value: true }],
      fdSets: [{ set: 2, fd: 7, opaque: 'a,b' }],
      objects: [{ 'qom-type': 'rng-random', id: 'rng0', filename: '/dev/urandom' }],
      chardevs: [
        { id: 'qmp', backend: 'socket', fd: 3 },
        { id: 'tpm', backend: 'socket', path: '/run/a,b', server: false },
        { id: 'console', backend: 'stdio', signal: false, mux: true },
        { id: 'gone', backend: 'null' },
      ],
      monitors: [{ chardev: 'qmp', mode: 'control' }],
      tpmdevs: [{ id: 'tpm0', type: 'emulator', chardev: 'tpm' }],
      blockNodes: [{ 'node-name': 'a', driver: 'file', filename: '/a,b', 'read-only': true }],
      netdevs: [{ type: 'user', id: 'net0' }],
      devices: [{ driver: 'virtio-rng-pci', id: 'rng', rng: 'rng0', addr: '1.0' }],
      extra: ['-device', 'help'],
    };
    assert.deepEqual(renderArguments(configuration), [
      ...['-nodefaults', '-no-user-config'],
      ...['-name', 'guest=debian,debug-threads=on', '-uuid', '8a8f4d6e-4c52-4d43-a3c1-1f2a8e0f4a11'],
      ...['-machine', 'q35', '-accel', 'kvm,device=/dev/fdset/1', '-cpu', 'host,migratable=off'],
      ...['-smp', 'cpus=3', '-m', 'size=2048M,slots=2,maxmem=4294971392B'],
      ...['-sandbox', 'on,obsolete=deny,spawn=deny'],
      ...['-global', 'driver=ICH9-LPC,property=disable_s3,value=on'],
      ...['-display', 'none', '-add-fd', 'fd=7,set=2,opaque=a,,b'],
      ...['-object', '{"qom-type":"rng-random","id":"rng0","filename":"/dev/urandom"}'],
      ...['-chardev', 'socket,id=qmp,fd=3', '-chardev', 'socket,id=tpm,path=/run/a,,b,server=off'],
      ...['-chardev', 'stdio,id=console,signal=off,mux=on', '-chardev', 'null,id=gone'],
      ...['-mon', 'chardev=qmp,mode=control', '-tpmdev', 'emulator,id=tpm0,chardev=tpm'],
      ...['-blockdev', '{"node-name":"a","driver":"file","filename":"/a,b","read-only":true}'],
      ...['-netdev', '{"type":"user","id":"net0"}'],
      ...['-device', '{"driver":"virtio-rng-pci","id":"rng","rng":"rng0","addr":"1.0"}'],
      ...[
        '-smbios',
        'type=11,value=io.systemd.credential:a=b,,c',
        '-bios',
        '/usr/share/seabios/bios-256k.bin',
      ],
      ...['-kernel', '/boot/vmlinuz', '-initrd', '/dev/fdset/9', '-append', 'console=hvc0,115200 quiet'],
      ...['-S', '-device', 'help'],
    ]);
  });

  test('a list survives the way QEMU reads it', () => {
    const key = fc.stringMatching(/^[a-z][a-z0-9.-]{0,9}$/);
    fc.assert(
      fc.property(
        fc.dictionary(key, fc.oneof(text, fc.boolean(), fc.integer())),
        (properties: Properties) => {
          const said = Object.entries(properties).map(([name, value]) => [
            name,
            typeof value === 'boolean' ? (value ? 'on' : 'off') : String(value),
          ]);
          assert.deepEqual(parseList(list('first,word', properties)), [[null, 'first,word'], ...said]);
        },
      ),
    );
  });

  test('what no argument can carry is refused with the argument in the message', () => {
    const refuse = (change: Partial<QemuConfiguration>, message: RegExp) =>
      assert.throws(
        () => renderArguments({ ...minimal('a'), ...change }),
        (error) => error instanceof QemuError && message.test(error.message),
      );
    refuse({ name: 'a\0b' }, /guest=a\\u0000b.*NUL/);
    refuse({ devices: [{ driver: 'x', id: 'a\0b' }] }, /a\\u0000b.*NUL/);
    refuse({ machine: { type: 'q35', properties: { 'a,b': true } } }, /"a,b"/);
    refuse({ machine: { type: 'a=b', properties: {} } }, /"a=b"/);
    // A backslash before u0000 is text like any other.
    renderArguments({ ...minimal('a'), devices: [{ driver: 'x', id: 'a\\u0000b' }] });
  });

  test('values with any characters reach QEMU unchanged', async () => {
    const hostile = ', ,, = "quoted" \'single\' \\ back {json} é \u{1f600} %s $HOME';
    const [name = '', path = '', opaque = '', serial = ''] = fc.sample(text, { numRuns: 4, seed: 7 });
    await using directory = await temporaryDirectory();
    for (const each of [
      { name: hostile, path: hostile, opaque: hostile, serial: hostile },
      { name, path: path.replaceAll('/', ''), opaque, serial },
    ]) {
      const guest = `x${each.name}`;
      const socket = `${directory.path}/${each.path.replaceAll('\n', '')}.socket`;
      await using vm = await startQemu((descriptor) => ({
        ...minimal(guest),
        memory: { size: 64 * 1024 ** 2 + 8192, max: 256 * 1024 ** 2, slots: 2 },
        smp: { cpus: 2 },
        sandbox: { obsolete: 'deny', elevateprivileges: 'deny', spawn: 'deny', resourcecontrol: 'deny' },
        globals: [{ driver: 'virtio-blk-device', property: 'physical_block_size', value: 4096 }],
        smbios11: [each.opaque],
        objects: [{ 'qom-type': 'rng-random', id: 'rng0', filename: '/dev/urandom' }],
        fdSets: [{ set: 5, fd: descriptor, opaque: `o${each.opaque}` }],
        chardevs: [
          { id: 'other', backend: 'socket', path: socket, server: true },
          { id: 'nothing', backend: 'null' },
          { id: 'terminal', backend: 'stdio', signal: false, mux: true },
        ],
        monitors: [{ chardev: 'terminal', mode: 'readline' }],
        blockNodes: [
          { 'node-name': 'file', driver: 'null-co', size: 1024 ** 2 },
          { 'node-name': 'raw', driver: 'raw', file: 'file' },
        ],
        netdevs: [{ type: 'user', id: 'net0', hostname: 'x,y="z"' }],
        devices: [
          { driver: 'virtio-blk-pci', id: 'disk', drive: 'raw', serial: each.serial },
          { driver: 'virtio-net-pci', id: 'nic', netdev: 'net0' },
          { driver: 'virtio-rng-pci', id: 'rng', rng: 'rng0' },
        ],
      }));
      const ask = async (command: string, values?: JsonObject) =>
        JSON.stringify(await vm.qmp.executeAny(command, values));
      assert.equal(await ask('query-name'), JSON.stringify({ name: guest }));
      assert.ok((await ask('query-fdsets')).includes(JSON.stringify(`o${each.opaque}`)));
      assert.ok(
        (await ask('query-chardev')).includes(JSON.stringify(`disconnected:unix:${socket},server=on`)),
      );
      assert.equal(
        await ask('qom-get', { path: '/machine/peripheral/disk', property: 'serial' }),
        JSON.stringify(each.serial),
      );
      assert.equal(
        await ask('query-memory-size-summary'),
        JSON.stringify({ 'base-memory': 64 * 1024 ** 2 + 8192, 'plugged-memory': 0 }),
      );
      assert.equal(
        await ask('qom-get', { path: '/machine/peripheral/disk', property: 'physical_block_size' }),
        '4096',
      );
      assert.ok((await ask('query-cpus-fast')).includes('"cpu-index":1'));
      assert.ok((await ask('query-named-block-nodes')).includes('"node-name":"raw"'));
    }
  });
});

async function temporaryDirectory(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), 'vmspawn-arguments-'));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true }) };
}
