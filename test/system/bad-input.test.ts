import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  closeSync,
  copyFileSync,
  cpSync,
  mkdirSync,
  readdirSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { asset } from '../../src/assets.ts';
import { openTap } from '../../src/sys/tap.ts';
import { smallGuest } from '../guests.ts';
import { directBoot, type End, leftovers, program, Run, scratch, vmspawn } from './harness.ts';

const kernel = () => smallGuest().kernel;

/** One clear sentence or two on standard error, nothing on standard output, status 1. */
function refused(end: End, pattern: RegExp): void {
  const words = end.stderr.split('\n').filter((line) => line !== '' && !line.includes('KVM is not usable'));
  assert.equal(end.code, 1, end.stderr);
  assert.equal(end.stdout, '');
  assert.equal(words.length, 1, `one line: ${end.stderr}`);
  assert.match(words[0] ?? '', /^vmspawn: .*[.)?]$/);
  assert.match(words[0] ?? '', pattern);
}

/** Runs the program as an ordinary user, from a copy that such a user can read wherever the checkout is. */
async function asNobody(words: readonly string[], runtimeDirectory: string): Promise<End> {
  using directory = scratch();
  chmodSync(directory.path, 0o755);
  for (const part of ['bin', 'dist', 'firmware', 'package.json']) {
    cpSync(asset(part), join(directory.path, part), { recursive: true });
  }
  const user = ['--reuid=65534', '--regid=65534', '--clear-groups'];
  const run = new Run(
    [...user, join(directory.path, 'bin/vmspawn'), ...words],
    { HOME: directory.path, XDG_RUNTIME_DIR: runtimeDirectory },
    'setpriv',
  );
  run.child.stdin.end();
  return await run.ended;
}

const sentences: readonly (readonly [name: string, words: readonly string[], pattern: RegExp])[] = [
  ['a missing image', ['--image=/nowhere/disk.raw'], /\/nowhere\/disk\.raw/],
  ['a directory as image', ['--image=/usr'], /\/usr.*directory/],
  ['a device that is no disk', ['--image=/dev/null'], /\/dev\/null/],
  ['an unknown option', ['--imge=x'], /--imge.*--image/],
  ['no memory', ['--image=x', '--ram=0'], /--ram=0/],
  ['processors that are no number', ['--image=x', '--cpus=abc'], /--cpus=abc/],
  ['a name with a slash', ['--image=x', '--machine=a/b'], /--machine=a\/b/],
  ['nothing to boot', [], /--image=PATH/],
  ['an unknown machine', ['--machine=no-such-machine'], /no-such-machine/],
  ['a firmware that does not exist', ['--firmware=/nowhere.json', '--linux=/bin/true'], /\/nowhere\.json/],
  ['an initrd without a kernel', ['--image=/usr/share/OVMF/OVMF_VARS.fd', '--initrd=/bin/true'], /--initrd/],
];

for (const [name, words, pattern] of sentences) {
  test(`${name} is refused in one sentence`, async () => {
    refused(await vmspawn(words), pattern);
  });
}

test('an image that may not be read is refused, and nothing is made beside it', async () => {
  using directory = scratch();
  chmodSync(directory.path, 0o755);
  const image = join(directory.path, 'secret.raw');
  writeFileSync(image, Buffer.alloc(1024 * 1024));
  chmodSync(image, 0o000);
  refused(await asNobody([`--image=${image}`], ''), /secret\.raw/);
  assert.deepEqual(readdirSync(directory.path), ['secret.raw']);
});

test('a qcow2 with a backing file outside of its directory is refused', async () => {
  using directory = scratch();
  mkdirSync(join(directory.path, 'in'));
  const outside = join(directory.path, 'outside.raw');
  writeFileSync(outside, Buffer.alloc(1024 * 1024));
  const image = join(directory.path, 'in', 'top.qcow2');
  execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', '-b', outside, '-F', 'raw', image]);
  refused(await vmspawn([`--image=${image}`]), /outside\.raw/);
  assert.deepEqual(readdirSync(join(directory.path, 'in')), ['top.qcow2']);
});

test('a host without QEMU is told the name of the package', async () => {
  using directory = scratch();
  for (const name of ['node', 'readlink', 'sh']) {
    symlinkSync(
      execFileSync('sh', ['-c', `command -v ${name}`], { encoding: 'utf8' }).trim(),
      join(directory.path, name),
    );
  }
  refused(await vmspawn([`--linux=${kernel()}`, '--tpm=no'], { PATH: directory.path }), /qemu-system-x86/);
});

for (const limit of ['-n 16', '-n 20', '-n 40', '-Hn 255']) {
  test(`too few descriptors (ulimit ${limit}) are named with what to do, and nothing is made`, async () => {
    using directory = scratch();
    const image = join(directory.path, 'disk.raw');
    writeFileSync(image, Buffer.alloc(1024 * 1024));
    const words = [`--image=${image}`, '--machine=few', '--bind=/usr', '--tpm-state=yes'];
    const script = `ulimit -Sn 16 && ulimit ${limit} && exec "$0" "$@"`;
    const run = new Run(['-c', script, program, ...words], {}, 'sh');
    run.child.stdin.end();
    const number = limit.split(' ')[1];
    refused(await run.ended, new RegExp(`limit of open files is ${number}, .*Raise it to 256.*LimitNOFILE=`));
    assert.deepEqual(readdirSync(directory.path), ['disk.raw']);
    assert.deepEqual(leftovers('few'), []);
  });
}

test('a port or a TAP interface that somebody has is named before the image is enlarged', async () => {
  using directory = scratch();
  const image = join(directory.path, 'disk.raw');
  writeFileSync(image, Buffer.alloc(1024 * 1024));
  const words = [...directBoot('taken'), `--image=${image}`, '--grow-image=2M', '--quiet'];
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const holder = openTap('vt-taken');
  try {
    refused(
      await vmspawn([...words, '--network-user-mode', `--port=${port}:22`]),
      new RegExp(
        `--port=127\\.0\\.0\\.1:${port}:22 cannot be had: port ${port} of 127\\.0\\.0\\.1 is in use\\.`,
      ),
    );
    refused(await vmspawn([...words, '--network-tap']), /--network-tap: .* vt-taken is in use by another/);
  } finally {
    closeSync(holder);
    server.close();
  }
  assert.equal(statSync(image).size, 1024 * 1024);
  assert.deepEqual(readdirSync(directory.path), ['disk.raw']);
  assert.deepEqual(leftovers('taken'), []);
});

test('a QEMU that dies at once is quoted', async () => {
  const end = await vmspawn([
    `--linux=${kernel()}`,
    '--firmware=none',
    '--tpm=no',
    '--machine=dies',
    '--qemu-arg=-no-such-thing',
  ]);
  refused(end, /QEMU did not start.*-no-such-thing: invalid option/);
  assert.deepEqual(leftovers('dies'), []);
});

test('a second start of the same machine names the holder and leaves the running one alone', {
  timeout: 120_000,
}, async () => {
  const words = [
    `--linux=${kernel()}`,
    `--initrd=${smallGuest().initrd}`,
    '--firmware=none',
    '--tpm=no',
    '--machine=twice',
    '--ram=256M',
  ];
  await using first = new Run(words);
  await first.seen(/vmspawn-small: ready/);
  refused(await vmspawn(words), new RegExp(`twice.*PID ${first.child.pid}`));
  first.type('echo still here');
  await first.seen(/still here/);
  first.type('poweroff');
  assert.equal((await first.ended).code, 0);
});

test('the same image is not given to two machines, whatever path leads to it', {
  timeout: 120_000,
}, async () => {
  using directory = scratch();
  const image = join(directory.path, 'disk.raw');
  writeFileSync(image, Buffer.alloc(1024 * 1024));
  symlinkSync(image, join(directory.path, 'link.raw'));
  const guest = [
    `--linux=${kernel()}`,
    `--initrd=${smallGuest().initrd}`,
    '--firmware=none',
    '--tpm=no',
    '--ram=256M',
  ];
  await using first = new Run([...guest, `--image=${image}`, '--machine=image-one']);
  await first.seen(/vmspawn-small: ready/);
  refused(
    await vmspawn([...guest, `--image=${join(directory.path, 'link.raw')}`, '--machine=image-two']),
    /link\.raw.*image-one/,
  );
  first.type('poweroff');
  assert.equal((await first.ended).code, 0);
});

test('a socket path that is too long is refused', async () => {
  using directory = scratch();
  const long = join(directory.path, 'x'.repeat(100));
  mkdirSync(long, { mode: 0o700 });
  chmodSync(directory.path, 0o755);
  execFileSync('chown', ['65534:65534', long]);
  copyFileSync(kernel(), join(directory.path, 'vmlinuz'));
  const words = [`--linux=${join(directory.path, 'vmlinuz')}`, '--firmware=none', '--machine=long'];
  refused(await asNobody(words, long), /107/);
  assert.deepEqual(
    readdirSync(join(long, 'vmspawn')).filter((name) => !name.startsWith('.')),
    [],
  );
});

test('a full disk beside the image stops the start and leaves nothing behind', async () => {
  using directory = scratch();
  const disk = join(directory.path, 'full');
  mkdirSync(disk);
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=256k', 'tmpfs', disk]);
  try {
    const image = join(disk, 'disk.raw');
    copyFileSync('/dev/null', image);
    execFileSync('truncate', ['-s', '1M', image]);
    const end = await vmspawn([`--image=${image}`, '--tpm=no', '--machine=full']);
    refused(end, /disk\.raw\.efinvramstate.*(no space|ENOSPC)/i);
    assert.deepEqual(readdirSync(disk), ['disk.raw']);
    assert.deepEqual(leftovers('full'), []);
  } finally {
    execFileSync('umount', [disk]);
  }
});

test('KVM that is asked for and not usable is refused with the reason', async () => {
  refused(await vmspawn([`--linux=${kernel()}`, '--kvm=yes', '--tpm=no'], {}), /--kvm=yes cannot be met: .+/);
});
