import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  copyFileSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { checkTemplate, firmwareOf, prepareNvram } from '../../src/firmware/nvram.ts';
import { temporaryDirectory, write } from '../temporary.ts';

const directory = temporaryDirectory();
const template = '/usr/share/OVMF/OVMF_VARS_4M.fd';
let count = 0;
/** A directory of its own for each test, to see what is left in it. */
const fresh = () => {
  const path = join(directory, String(++count));
  mkdirSync(path);
  return path;
};
const code = '/usr/share/OVMF/OVMF_CODE_4M.fd';
const prepare = (state: { path: string; template: string }) => prepareNvram({ ...state, firmware: code });
const firmware = (message: RegExp) => ({ code: 'FIRMWARE', message });

test('a new state is a private copy of the template, a later one stays as it is', async () => {
  const place = fresh();
  const path = join(place, 'debian.raw.efinvramstate');
  const umask = process.umask(0o777);
  try {
    assert.equal(await prepare({ path, template }), 'created');
  } finally {
    process.umask(umask);
  }
  const status = statSync(path);
  assert.equal(status.mode & 0o7777, 0o600);
  assert.equal(status.nlink, 1);
  assert.equal(Math.floor(status.mtimeMs / 1000), Math.floor(statSync(template).mtimeMs / 1000));
  assert(readFileSync(path).equals(readFileSync(template)));
  assert.deepEqual(readdirSync(place), ['debian.raw.efinvramstate']);

  const variables = readFileSync(path).fill(7, 8192);
  writeFileSync(path, variables);
  assert.equal(await prepare({ path, template }), 'existing');
  assert(readFileSync(path).equals(variables));
});

test('a state remembers the firmware that it was made for, where the file system can', async () => {
  const path = join(fresh(), 'state');
  await prepare({ path, template });
  assert.equal(await firmwareOf(path), code);
  const old = write(join(fresh(), 'state'), readFileSync(template));
  assert.equal(await firmwareOf(old), null);
  assert.equal(await firmwareOf(join(directory, 'absent')), null);
});

test('a state with another layout than the template is refused, also when it has the same size', async () => {
  const place = fresh();
  const changed = (name: string, edit: (bytes: Buffer) => unknown) => {
    const bytes = readFileSync(template);
    edit(bytes);
    const path = write(join(place, name), bytes);
    chmodSync(path, 0o600);
    return path;
  };
  const other = /has another layout than the template .*: it was made with another firmware/;
  // The GUID of the variable store, its size, and that of the volume.
  for (const [at, message] of [
    [72, other],
    [88, other],
    [34, other],
    [40, /holds no UEFI variables/],
  ] as const) {
    const path = changed(`state-${at}`, (bytes) => bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at));
    await assert.rejects(prepare({ path, template }), firmware(message), String(at));
  }
  const used = changed('used', (bytes) => bytes.fill(0x55, 8192, 9000));
  assert.equal(await prepare({ path: used, template }), 'existing');
  // A template that the firmware fills by itself says nothing.
  const empty = write(join(place, 'empty'), Buffer.alloc(readFileSync(used).length));
  assert.equal(await prepare({ path: used, template: empty }), 'existing');
});

test('a place or a state that others can write to is refused', async () => {
  const open = fresh();
  chmodSync(open, 0o777);
  const path = join(open, 'state');
  await assert.rejects(prepare({ path, template }), firmware(/lies in .*, which everybody may write to/));
  assert.deepEqual(readdirSync(open), []);
  chmodSync(open, 0o1777);
  assert.equal(await prepare({ path, template }), 'created');
  chmodSync(open, 0o777);
  await assert.rejects(prepare({ path, template }), firmware(/which everybody may write to/));
  const place = fresh();
  const loose = write(join(place, 'state'), readFileSync(template));
  chmodSync(loose, 0o660);
  await assert.rejects(prepare({ path: loose, template }), firmware(/can be written to by other users/));
});

test('of several that make the same state one creates it', async () => {
  const place = fresh();
  const path = join(place, 'state');
  const results = await Promise.allSettled(Array.from({ length: 8 }, () => prepare({ path, template })));
  const created = results.filter((result) => result.status === 'fulfilled' && result.value === 'created');
  assert.equal(created.length, 1);
  assert.deepEqual(readdirSync(place), ['state']);
  assert(readFileSync(path).equals(readFileSync(template)));
});

test('a state of another firmware is refused by its size', async () => {
  const path = write(join(fresh(), 'state'), readFileSync('/usr/share/OVMF/OVMF_VARS.fd'));
  await assert.rejects(
    prepare({ path, template }),
    firmware(/is for a flash of 131072 bytes, but the template .* for one of 540672 bytes/),
  );
});

test('a state that is no file of ours is refused and not touched', async () => {
  const place = fresh();
  const victim = write(join(place, 'victim'), readFileSync(template));
  const link = join(place, 'link');
  symlinkSync(victim, link);
  const dangling = join(place, 'dangling');
  symlinkSync(join(place, 'absent'), dangling);
  const hard = join(place, 'hard');
  linkSync(victim, hard);
  const fifo = join(place, 'fifo');
  execFileSync('mkfifo', [fifo]);
  mkdirSync(join(place, 'directory'));
  const before = readdirSync(place);
  for (const path of [link, dangling, fifo, join(place, 'directory')]) {
    await assert.rejects(prepare({ path, template }), firmware(/is no regular file/), path);
  }
  await assert.rejects(prepare({ path: hard, template }), firmware(/has a second name/));
  assert.deepEqual(readdirSync(place), before);
});

test("another user's state is refused", async () => {
  // As root there are other users to give the file to; as anybody else a file of root's cannot be opened for writing.
  const root = process.getuid?.() === 0;
  const path = root ? write(join(fresh(), 'state'), readFileSync(template)) : '/etc/passwd';
  if (root) chownSync(path, 65534, 65534);
  await assert.rejects(
    prepare({ path, template }),
    firmware(root ? /belongs to the user 65534, neither to us \(0\) nor to root/ : /cannot be opened/),
  );
});

test('a template in place of the firmware’s own has its size and its layout', async () => {
  const place = fresh();
  const ownTemplate = template;
  const check = (path: string) => checkTemplate({ template: path, ownTemplate });
  const filled = readFileSync(template).fill(7, 8192);
  await check(write(join(place, 'filled'), filled));
  const unfit = firmware(
    /^--efi-nvram-template=.* does not fit the firmware, whose own template is .*4M\.fd$/,
  );
  await assert.rejects(check('/usr/share/OVMF/OVMF_VARS.fd'), unfit);
  await assert.rejects(check(write(join(place, 'text'), 'text')), unfit);
  await assert.rejects(check(write(join(place, 'other'), Buffer.alloc(filled.length))), unfit);
  await assert.rejects(check(write(join(place, 'empty'), '')), firmware(/0 bytes, which no flash has/));
  await assert.rejects(check(place), firmware(/is no regular file/));
  // That the firmware's own one is missing may be why another one is given.
  await checkTemplate({ template, ownTemplate: join(place, 'absent') });
});

test('a template that is missing, empty, no file or too large', async () => {
  const place = fresh();
  const path = join(place, 'state');
  const bad = fresh();
  execFileSync('mkfifo', [join(bad, 'fifo')]);
  truncateSync(write(join(bad, 'large')), 65 * 1024 * 1024);
  const cases: [string, RegExp][] = [
    [join(bad, 'absent'), /cannot be read/],
    [write(join(bad, 'empty')), /has 0 bytes/],
    [join(bad, 'fifo'), /is no regular file/],
    [bad, /is no regular file/],
    [join(bad, 'large'), /has 68157440 bytes/],
  ];
  for (const [name, message] of cases) {
    await assert.rejects(prepare({ path, template: name }), firmware(message));
  }
  assert.deepEqual(readdirSync(place), []);
});

test('a state that cannot be made is a FileError with a hint', async () => {
  await assert.rejects(prepare({ path: join(directory, 'absent', 'state'), template }), {
    code: 'FILE',
    hint: /--efi-nvram-state=off/,
  });
  await assert.rejects(prepare({ path: '/etc/passwd/state', template }), { code: 'FILE' });
});

test('a qcow2 state counts by the size of its disk, and may refer to nothing else', async () => {
  const place = fresh();
  const at = (name: string) => join(place, name);
  const convert = (...words: string[]) => execFileSync('qemu-img', words, { stdio: 'pipe', cwd: place });
  convert('convert', '-f', 'raw', '-O', 'qcow2', template, 'template.qcow2');
  assert.equal(await prepare({ path: at('state'), template: at('template.qcow2') }), 'created');
  execFileSync('qemu-io', ['-f', 'qcow2', '-c', 'write -P 1 0 64k', at('state')], { stdio: 'pipe' });
  assert.equal(await prepare({ path: at('state'), template: at('template.qcow2') }), 'existing');
  // QEMU is told the format of the firmware's own template.
  const raw = firmware(/is no qcow2 image, as the template .*: it was made with another firmware/);
  copyFileSync(template, at('raw'));
  chmodSync(at('raw'), 0o600);
  await assert.rejects(prepare({ path: at('raw'), template: at('template.qcow2') }), raw);
  await assert.rejects(
    checkTemplate({ template, ownTemplate: at('template.qcow2') }),
    firmware(/does not fit the firmware/),
  );
  convert(
    'create',
    '-f',
    'qcow2',
    '-b',
    '/etc/passwd',
    '-F',
    'raw',
    'hostile',
    String(statSync(template).size),
  );
  await assert.rejects(
    prepare({ path: at('hostile'), template: at('template.qcow2') }),
    firmware(/refers to other files/),
  );
});

test('a full disk is named and nothing is left behind', () => {
  const place = fresh();
  const state = join(place, 'state');
  const program = join(__dirname, 'fixtures', 'prepare-nvram.cjs');
  const script =
    'mount -t tmpfs -o size=128k tmpfs "$1" && "$2" "$3" "$4" "$5"; ls -A "$1"; df --output=used "$1" | tail -1';
  const output = execFileSync(
    'unshare',
    [
      process.getuid?.() === 0 ? '-m' : '-rm',
      ...['sh', '-c', script, 'sh', place, process.execPath, program, state, template],
    ],
    { encoding: 'utf8' },
  );
  const lines = output.trim().split('\n');
  assert.match(
    String(lines[0]),
    new RegExp(
      `^The NVRAM state ${state} cannot be made, because there is no space left in ${place}: ENOSPC`,
    ),
  );
  assert.deepEqual(
    lines.slice(1).map((line) => line.trim()),
    ['0'],
  );
  chmodSync(place, 0o755);
});
