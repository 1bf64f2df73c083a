import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import {
  closeSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statfsSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { createConnection } from 'node:net';
import { extname, join } from 'node:path';
import { test } from 'node:test';
import { directBoot, leftovers, program, Run, scratch, until, vmspawn } from './harness.ts';

const mebibyte = 1024 ** 2;

function raw(directory: string, name: string, size = mebibyte): string {
  const path = join(directory, name);
  writeFileSync(path, Buffer.alloc(size, name));
  return path;
}

/** Waits until the guest has seen so many disks; gives them by serial. SCSI and NVMe come some time after the start. */
async function disks(run: Run, count: number): Promise<Map<string, { name: string; size: number }>> {
  let from = await run.seen(/vmspawn-small: ready/);
  for (;;) {
    run.type('disks');
    const end = await run.seen(/disks: done/, from);
    const found = [...run.stdout.slice(from, end).matchAll(/disk (\w+): (\S+) (\d+)/g)];
    from = end;
    if (found.length >= count) {
      return new Map(found.map(([, name = '', serial = '', size]) => [serial, { name, size: Number(size) }]));
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** Types a command and waits for what it answers. */
async function command(run: Run, words: string, answer: RegExp): Promise<void> {
  const from = run.stdout.length;
  run.type(words);
  await run.seen(answer, from);
}

async function powerOff(run: Run): Promise<void> {
  run.type('poweroff');
  const end = await run.ended;
  assert.equal(end.code, 0, end.stderr);
}

/**
 * Words of strace(1) for a program whose syncs of files are to be seen, with a QEMU that has no io_uring, which strace cannot
 * look into; and those of a file so far.
 */
function traceSyncs(log: string): {
  readonly words: readonly string[];
  readonly synced: (name: string) => readonly string[];
} {
  return {
    words: [
      ...['-D', '-f', '-qq', '-y', '--seccomp-bpf', '-o', log],
      ...['-e', 'trace=fsync,fdatasync,io_uring_setup', '-e', 'inject=io_uring_setup:error=ENOSYS', program],
    ],
    synced: (name) =>
      readFileSync(log, 'utf8')
        .split('\n')
        .filter((line) => /f(data)?sync\(\d+</.test(line) && line.includes(`/${name}>`)),
  };
}

/** What the guest sees of an image that a machine has open, as a raw file. */
function converted(path: string): string {
  const [raw, format] = [`${path}.converted`, extname(path).slice(1)];
  execFileSync('qemu-img', ['convert', '-U', '-f', format, '-O', 'raw', path, raw]);
  return raw;
}

test('drives of every type and format, with serials, and what is written reaches the files', {
  timeout: 240_000,
}, async () => {
  using directory = scratch();
  const at = (name: string) => join(directory.path, name);
  const image = raw(directory.path, 'root.raw', 4 * mebibyte);
  const formats = ['qcow2', 'vmdk', 'vdi', 'vhdx'] as const;
  for (const format of formats) {
    execFileSync('qemu-img', ['create', '-q', '-f', format, at(`disk.${format}`), '8M']);
  }
  // Version 2 of the format.
  execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', '-o', 'compat=0.10', at('old.qcow2'), '8M']);
  const seed = raw(directory.path, 'seed.iso');
  const types = { 'blk.raw': 'virtio-blk', 'scsi.raw': 'virtio-scsi', 'nvme.raw': 'nvme' } as const;
  for (const name of Object.keys(types)) raw(directory.path, name);
  const traced = traceSyncs(at('calls'));
  await using run = new Run(
    [
      ...traced.words,
      ...directBoot('drives'),
      `--image=${image}`,
      '--discard-disk=yes',
      ...Object.entries(types).map(([name, type]) => `--extra-drive=${type}:${at(name)}`),
      ...formats.map((format) => `--extra-drive=${at(`disk.${format}`)}`),
      `--extra-drive=${at('old.qcow2')}`,
      `--extra-drive=raw:scsi-cd:${seed}`,
    ],
    {},
    'strace',
  );
  const found = await disks(run, 10);
  assert.deepEqual([...found].map(([serial, { size }]) => `${serial} ${size / mebibyte}`).sort(), [
    '- 1',
    'blk.raw 1',
    'disk.qcow2 8',
    'disk.vdi 8',
    'disk.vhdx 8',
    'disk.vmdk 8',
    'nvme.raw 1',
    'old.qcow2 8',
    'root.raw 4',
    'scsi.raw 1',
  ]);
  assert.equal(found.get('root.raw')?.name, 'vda');
  for (const [name, device] of [
    ['blk.raw', /^vd/],
    ['scsi.raw', /^sd/],
    ['nvme.raw', /^nvme/],
    // The kernel does not ask a CD for its serial number.
    ['-', /^sr/],
  ] as const) {
    assert.match(found.get(name)?.name ?? '', device);
  }
  // fsync of the guest, seen from the host while the machine runs.
  const raws = ['root.raw', ...Object.keys(types)];
  const others = [...formats.map((format) => `disk.${format}`), 'old.qcow2'];
  for (const name of [...raws, ...others]) {
    await command(run, `disk ${found.get(name)?.name}`, /disk: /);
    const before = traced.synced(name).length;
    await command(run, `write 4096 written-to-${name}`, /write: done/);
    assert.ok(traced.synced(name).length > before, `${name} is synced`);
    const file = raws.includes(name) ? at(name) : converted(at(name));
    const expected = `written-to-${name}`;
    assert.equal(readFileSync(file).toString('latin1', 4096, 4096 + expected.length), expected);
  }
  await command(run, `disk ${found.get('-')?.name}`, /disk: /);
  await command(run, 'read 0 8', /read: seed\.iso/);
  await command(run, 'write 0 x', /write: failed/);
  await powerOff(run);
  assert.deepEqual(leftovers('drives', directory.path), []);
});

test('two ephemeral machines run from one image at once, and leave every file as it was', {
  timeout: 240_000,
}, async () => {
  using directory = scratch();
  const base = raw(directory.path, 'base.raw', 4 * mebibyte);
  const top = join(directory.path, 'top.qcow2');
  execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', '-b', base, '-F', 'raw', top]);
  const data = raw(directory.path, 'data.raw');
  const seed = raw(directory.path, 'seed.iso');
  const files = [base, top, data, seed];
  const before = files.map((path) => [readFileSync(path), statSync(path).mtimeMs]);
  const words = (machine: string) => [
    ...directBoot(machine),
    '--ephemeral',
    `--image=${top}`,
    `--extra-drive=${data}`,
    // Nobody writes to a CD, so that it is the file itself, shared.
    `--extra-drive=scsi-cd:${seed}`,
    '--grow-image=16M',
  ];
  await using one = new Run(words('ephemeral-one'));
  await using two = new Run(words('ephemeral-two'));
  for (const run of [one, two]) {
    const found = await disks(run, 3);
    assert.deepEqual(found.get('top.qcow2'), { name: 'vda', size: 16 * mebibyte });
    assert.equal(found.get('data.raw')?.name, 'vdb');
    await command(run, 'disk sr0', /disk: sr0/);
    await command(run, 'read 0 8', /read: seed\.iso/);
    await command(run, 'write 0 x', /write: failed/);
    await command(run, 'disk vda', /disk: vda/);
    await command(run, 'read 0 8', /read: base\.raw/);
    await command(run, 'write 2 changed', /write: done/);
    await command(run, 'read 0 9', /read: bachanged/);
    await command(run, `write ${12 * mebibyte} grown`, /write: done/);
    await command(run, `read ${12 * mebibyte} 5`, /read: grown/);
    await command(run, 'disk vdb', /disk: vdb/);
    await command(run, 'write 0 changed', /write: done/);
  }
  // Whoever would write is kept out as long as they run.
  const writer = await vmspawn([...directBoot('ephemeral-writer'), `--image=${top}`]);
  assert.equal(writer.code, 1);
  assert.match(writer.stderr, /top\.qcow2 is in use by the machine ephemeral-(one|two)/);
  for (const run of [one, two]) await powerOff(run);
  assert.deepEqual(
    files.map((path) => [readFileSync(path), statSync(path).mtimeMs]),
    before,
  );
  assert.deepEqual(readdirSync(directory.path).sort(), ['base.raw', 'data.raw', 'seed.iso', 'top.qcow2']);
  assert.deepEqual(leftovers('ephemeral-one', directory.path), []);
});

test('an ephemeral machine without a name gets one that is free', { timeout: 120_000 }, async () => {
  using directory = scratch();
  const image = raw(directory.path, 'derived.raw');
  const end = await vmspawn([`--image=${image}`, '--firmware=bios', '--tpm=no', '-x', '--dry-run=json']);
  assert.equal(end.code, 0, end.stderr);
  assert.match(end.stdout, /"machine": "derived-[0-9a-f]{16}"/);
});

/** A qcow2 image with a root partition, which begins with its name, and the number of that. */
function partitioned(directory: string, name: string): { path: string; uuid: string } {
  const [disk, path] = [raw(directory, 'gpt', 2 * mebibyte), join(directory, name)];
  const uuid = randomUUID();
  const start = 64;
  // For x86-64 by the Discoverable Partitions Specification (UAPI.2).
  const type = '4f68bce3-e8cd-4db1-96e7-fbcaf984b709';
  execFileSync('sfdisk', ['-q', disk], {
    input: `label: gpt\nstart=${start}, size=1024, type=${type}, uuid=${uuid}\n`,
    stdio: ['pipe', 'ignore', 'inherit'],
  });
  const fd = openSync(disk, 'r+');
  writeSync(fd, name, start * 512);
  closeSync(fd);
  execFileSync('qemu-img', ['convert', '-f', 'raw', '-O', 'qcow2', disk, path]);
  return { path, uuid };
}

test('twelve extra drives, the network cards keep their places, and the root partition is known', {
  timeout: 240_000,
}, async () => {
  using directory = scratch();
  const { path: image, uuid } = partitioned(directory.path, 'root.qcow2');
  const names = Array.from({ length: 12 }, (_, index) => `extra${index}.raw`);
  const drives = names.map((name) => `--extra-drive=${raw(directory.path, name)}`);
  await using run = new Run([...directBoot('twelve'), `--image=${image}`, ...drives, '--network-user-mode']);
  const found = await disks(run, 13);
  assert.deepEqual(
    ['root.qcow2', ...names].map((name) => found.get(name)?.name),
    [...'abcdefghijklm'].map((letter) => `vd${letter}`),
  );
  assert.ok(run.stdout.includes(` root=PARTUUID=${uuid} `), run.stdout);
  await command(run, 'disk vda1', /disk: vda1/);
  await command(run, 'read 0 10', /read: root\.qcow2/);
  assert.match(run.stdout, /nic: [0-9a-f:]{17}/);
  await powerOff(run);
});

test('an image grows before the machine starts and stays so', { timeout: 120_000 }, async () => {
  using directory = scratch();
  const image = raw(directory.path, 'small.raw');
  await using run = new Run([...directBoot('grows'), `--image=${image}`, '-G', '64M']);
  assert.equal((await disks(run, 1)).get('small.raw')?.size, 64 * mebibyte);
  assert.match(run.stderr, /small\.raw is enlarged from 1048576 to 67108864 bytes/);
  await powerOff(run);
  assert.equal(statSync(image).size, 64 * mebibyte);
});

test('what the guest discards takes no space on the host any more, unless that is not wanted', {
  timeout: 240_000,
}, async () => {
  using directory = scratch();
  for (const wanted of [true, false]) {
    const image = raw(directory.path, `discard-${wanted}.raw`, 8 * mebibyte);
    await using run = new Run([
      ...directBoot(`discard-${wanted}`),
      `--image=${image}`,
      `--discard-disk=${wanted ? 'yes' : 'no'}`,
    ]);
    await disks(run, 1);
    await command(run, `discard 0 ${4 * mebibyte}`, /discard: (done|failed)/);
    await powerOff(run);
    assert.equal(statSync(image).blocks * 512 < 8 * mebibyte, wanted);
  }
});

test('a TAP and a user-mode network at once, with a port that leads to the guest', {
  timeout: 120_000,
}, async () => {
  const port = 20_000 + (process.pid % 20_000);
  await using run = new Run([
    ...directBoot('two-nets'),
    '--network-tap',
    '--network-user-mode',
    `--port=${port}:7`,
  ]);
  await run.seen(/vmspawn-small: ready/);
  const macs = [...run.stdout.matchAll(/nic: ([0-9a-f:]{17})/g)].map(([, mac]) => mac);
  assert.equal(new Set(macs).size, 2);
  assert.ok(existsSync('/sys/class/net/vt-two-nets'));
  const socket = createConnection(port, '127.0.0.1');
  await new Promise<void>((resolve, reject) => socket.on('connect', () => resolve()).on('error', reject));
  socket.destroy();
  await powerOff(run);
  assert.ok(!existsSync('/sys/class/net/vt-two-nets'));
});

const refusals: readonly (readonly [
  name: string,
  words: (directory: string) => string[],
  message: RegExp,
])[] = [
  [
    'a missing drive',
    () => ['--extra-drive=/nowhere/d.raw'],
    /--extra-drive=\/nowhere\/d\.raw does not exist/,
  ],
  ['a directory as a drive', () => ['--extra-drive=/usr'], /--extra-drive=\/usr is a directory/],
  ['a drive of a wrong format', (d) => [`--extra-drive=vdi:${raw(d, 'x')}`], /x is no VDI image/],
  [
    'a drive twice, by a link',
    (d) => {
      const path = raw(d, 'x.raw');
      execFileSync('ln', ['-s', path, join(d, 'y.raw')]);
      return [`--image=${path}`, `--extra-drive=${join(d, 'y.raw')}`];
    },
    /y\.raw is given to the machine twice/,
  ],
  [
    'too many drives',
    (d) => {
      mkdirSync(join(d, 'many'));
      return Array.from(
        { length: 113 },
        (_, index) => `--extra-drive=${raw(join(d, 'many'), `${index}`, 512)}`,
      );
    },
    /more devices than its PCI Express bus has places \(112/,
  ],
  [
    'a qcow2 that shall grow',
    (d) => {
      execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', join(d, 'g.qcow2'), '1M']);
      return [`--image=${join(d, 'g.qcow2')}`, '-G1G'];
    },
    /--grow-image=1073741824 cannot enlarge .*g\.qcow2, which is no raw image but qcow2/,
  ],
  ['a port without a network', () => ['--port=2222:22'], /--port=127\.0\.0\.1:2222:22 needs a network/],
];

for (const [name, words, message] of refusals) {
  test(`${name} is refused in one sentence, and nothing is made`, { timeout: 60_000 }, async () => {
    using directory = scratch();
    const given = words(directory.path);
    const before = readdirSync(directory.path);
    const end = await vmspawn([...directBoot('refused'), ...given]);
    const lines = end.stderr.split('\n').filter((line) => line !== '');
    assert.equal(end.code, 1, end.stderr);
    assert.equal(lines.length, 1, end.stderr);
    assert.match(lines[0] ?? '', /^vmspawn: .*[.)]$/);
    assert.match(lines[0] ?? '', message);
    assert.deepEqual(readdirSync(directory.path), before);
    assert.deepEqual(leftovers('refused', directory.path), []);
  });
}

test('a TAP interface needs CAP_NET_ADMIN, and what to do without is said', { timeout: 60_000 }, async () => {
  const words = ['--bounding-set=-net_admin', program, ...directBoot('no-capability'), '--network-tap'];
  const end = await new Run(words, {}, 'setpriv').ended;
  assert.equal(end.code, 1);
  assert.match(
    end.stderr,
    /vt-no-capab\w{4} cannot be made without the capability CAP_NET_ADMIN\. .*ip tuntap/,
  );
  assert.deepEqual(leftovers('no-capability'), []);
});

test('a file that may not be written to is refused as a drive, and fine for an ephemeral machine', {
  timeout: 120_000,
}, async () => {
  using directory = scratch();
  const mount = join(directory.path, 'mount');
  mkdirSync(mount);
  const source = raw(directory.path, 'r.raw');
  execFileSync('mount', ['-t', 'tmpfs', 'tmpfs', mount]);
  try {
    copyFileSync(source, join(mount, 'r.raw'));
    execFileSync('mount', ['-o', 'remount,ro', mount]);
    const words = [...directBoot('read-only-file'), `--image=${join(mount, 'r.raw')}`];
    const end = await vmspawn(words);
    assert.equal(end.code, 1);
    assert.match(end.stderr, /r\.raw is not writable\. .*--ephemeral/);
    await using run = new Run([...words, '--ephemeral']);
    await disks(run, 1);
    await command(run, 'write 0 changed', /write: done/);
    await command(run, 'read 0 7', /read: changed/);
    await powerOff(run);
  } finally {
    execFileSync('umount', [mount]);
  }
});

test('an ephemeral machine whose overlay finds no space waits for some', { timeout: 180_000 }, async () => {
  using directory = scratch();
  const mount = join(directory.path, 'mount');
  const disk = join(directory.path, 'ext4');
  mkdirSync(mount);
  execFileSync('truncate', ['-s', '16M', disk]);
  execFileSync('mkfs.ext4', ['-q', '-O', '^has_journal', '-m', '0', disk]);
  execFileSync('mount', ['-o', 'loop', disk, mount]);
  try {
    const image = raw(mount, 'base.raw', 4 * mebibyte);
    const { bavail, bsize } = statfsSync(mount);
    const filler = join(mount, 'filler');
    writeFileSync(filler, Buffer.alloc(bavail * bsize - mebibyte, 1));
    await using run = new Run([...directBoot('overlay-full'), `--image=${image}`, '-x']);
    await disks(run, 1);
    let offset = 0;
    for (let full = false; !full; offset += 65536) {
      assert.ok(offset < 4 * mebibyte, 'it never got full');
      const from = run.stdout.length;
      run.type(`write ${offset} x`);
      await until(() => {
        full = /No space is left for drive disk0.*paused/.test(run.stderr);
        return full || run.stdout.includes('write: done', from);
      });
    }
    const from = run.stdout.length;
    rmSync(filler);
    run.child.kill('SIGUSR2');
    await run.seen(/write: done/, from);
    await powerOff(run);
    assert.deepEqual(readdirSync(mount).sort(), ['base.raw', 'lost+found']);
    assert.equal(readFileSync(image).compare(Buffer.alloc(4 * mebibyte, 'base.raw')), 0);
  } finally {
    execFileSync('umount', ['-l', mount]);
  }
});

test('a dry run of drives and networks is a script that starts them', { timeout: 120_000 }, async () => {
  using directory = scratch();
  const image = raw(directory.path, "it's.raw");
  const words = [...directBoot('drives-by-hand'), `--image=${image}`, '-xn', '-G2M', '--network-user-mode'];
  const dry = await vmspawn([...words, `--port=${22_000 + (process.pid % 10_000)}:22`, '--dry-run']);
  assert.equal(dry.code, 0, dry.stderr);
  const script = join(directory.path, 'start.sh');
  writeFileSync(script, dry.stdout);
  await using run = new Run([script], {}, 'bash');
  const found = await disks(run, 1);
  assert.deepEqual(found.get("it's.raw"), { name: 'vda', size: 2 * mebibyte });
  assert.equal(run.stdout.match(/nic: /g)?.length, 2);
  await command(run, 'write 0 changed', /write: done/);
  await powerOff(run);
  assert.equal(readFileSync(image).compare(Buffer.alloc(mebibyte, "it's.raw")), 0);
});
