import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, readFileSync, symlinkSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { asset } from '../../src/assets.ts';
import { firmwareRows, renderFirmwareList } from '../../src/firmware/list.ts';
import { selectFirmware } from '../../src/firmware/match.ts';
import {
  describeFirmware,
  descriptorCountLimit,
  firmwareDirectories,
  loadFirmware,
  searchFirmware,
} from '../../src/firmware/search.ts';
import { temporaryDirectory, write } from '../temporary.ts';
import { content } from './samples.ts';

const directory = temporaryDirectory();
const sample = (changes: Record<string, unknown> = {}) => JSON.stringify(content(changes));
const search = (...directories: string[]) => searchFirmware({ environment: {}, home: null, directories });
const names = (descriptors: readonly { path: string }[]) => descriptors.map(({ path }) => path);
const host = {
  interface: 'uefi',
  architecture: 'x86_64',
  machine: { name: 'pc-q35-7.2', alias: 'q35' },
  include: [],
  exclude: ['enrolled-keys'],
  nvramTemplate: true,
};

test('the directories in order', () => {
  const own = asset('firmware');
  assert.deepEqual(firmwareDirectories({ environment: {}, home: '/home/u' }), [
    '/home/u/.config/qemu/firmware',
    '/etc/qemu/firmware',
    '/home/u/.local/share/qemu/firmware',
    '/usr/local/share/qemu/firmware',
    '/usr/share/qemu/firmware',
    own,
  ]);
  const environment = {
    XDG_CONFIG_HOME: '/c',
    XDG_DATA_HOME: 'relative',
    XDG_DATA_DIRS: '/d1:relative::/d2',
  };
  assert.deepEqual(firmwareDirectories({ environment, home: null }), [
    '/c/qemu/firmware',
    '/etc/qemu/firmware',
    '/d1/qemu/firmware',
    '/d2/qemu/firmware',
    '/usr/share/qemu/firmware',
    own,
  ]);
});

test('a base name in an earlier directory hides, an empty file or /dev/null masks, the order is by base name', async () => {
  const [first, second] = [join(directory, 'first'), join(directory, 'second')];
  write(join(first, '50-b.json'), sample({ description: 'mine' }));
  write(join(first, '60-c.json'));
  symlinkSync('/dev/null', join(first, '70-d.json'));
  write(join(first, 'note.txt'), 'no descriptor');
  for (const name of ['40-a.json', '50-b.json', '60-c.json', '70-d.json', '80-e.json']) {
    write(join(second, name), sample());
  }
  const { descriptors, problems } = await search(first, join(directory, 'absent'), second);
  assert.deepEqual(names(descriptors), [
    join(second, '40-a.json'),
    join(first, '50-b.json'),
    join(second, '80-e.json'),
  ]);
  assert.deepEqual(problems, []);
});

test('a broken descriptor still hides the one of the same name behind it', async () => {
  const [first, second] = [join(directory, 'broken-1'), join(directory, 'broken-2')];
  write(join(first, 'a.json'), '{');
  write(join(second, 'a.json'), sample());
  const { descriptors, problems } = await search(first, second);
  assert.deepEqual(descriptors, []);
  assert.deepEqual(problems, [{ path: join(first, 'a.json'), reason: 'it is not JSON' }]);
});

test('whatever lies in the directory becomes a problem', async () => {
  const hostile = join(directory, 'hostile');
  const at = (name: string) => join(hostile, name);
  write(at('good.json'), sample());
  write(at('not-json.json'), 'hello');
  write(at('not-utf8.json'), Buffer.from([0x22, 0xff, 0xfe, 0x22]));
  write(at('huge.json'), '{');
  truncateSync(at('huge.json'), 100 * 1024 * 1024);
  write(at('directory.json/x'));
  execFileSync('mkfifo', [at('fifo.json')]);
  symlinkSync('loop.json', at('loop.json'));
  symlinkSync('nowhere', at('dangling.json'));
  symlinkSync('/dev/zero', at('zero.json'));
  write(at('new\nline.json'), '[]');
  write(at('missing-file.json'), sample({ mapping: { device: 'memory', filename: '/no/such/bios.bin' } }));
  write(at('nul.json'), sample({ mapping: { device: 'memory', filename: '/a\0b' } }));
  const { descriptors, problems } = await search(hostile);
  assert.deepEqual(names(descriptors), [at('good.json')]);
  assert.deepEqual(
    problems.map(({ path, reason }) => [path.slice(hostile.length + 1), reason]),
    [
      ['dangling.json', 'it does not exist, or is a link to something that does not'],
      ['directory.json', 'it is a directory'],
      ['fifo.json', 'it is no regular file'],
      ['huge.json', 'it is larger than 1048576 bytes'],
      ['loop.json', 'it is a loop of symbolic links'],
      ['missing-file.json', '/no/such/bios.bin, which it names, is not installed'],
      ['new\nline.json', 'the descriptor must be an object, not an array'],
      ['not-json.json', 'it is not JSON'],
      ['not-utf8.json', 'it is not valid UTF-8'],
      ['nul.json', 'mapping.filename contains a NUL byte'],
      ['zero.json', 'it is no regular file'],
    ],
  );
});

test('what this user may not read becomes a problem', async () => {
  const closed = join(directory, 'closed');
  const unlisted = join(directory, 'unlisted');
  chmodSync(write(join(closed, 'a.json'), sample()), 0);
  write(join(unlisted, 'a.json'), sample());
  chmodSync(unlisted, 0);
  chmodSync(directory, 0o755);
  const root = process.getuid?.() === 0;
  if (root) process.seteuid?.(65534);
  try {
    const { descriptors, problems } = await search(closed, unlisted);
    assert.deepEqual(descriptors, []);
    assert.deepEqual(problems, [
      { path: join(closed, 'a.json'), reason: 'it may not be read by this user' },
      { path: unlisted, reason: 'the directory cannot be read (EACCES)' },
    ]);
  } finally {
    if (root) process.seteuid?.(0);
    chmodSync(unlisted, 0o755);
  }
});

test('a directory with ten thousand files is read up to a limit', async () => {
  const many = join(directory, 'many');
  for (let i = 0; i < 10_000; i++) write(join(many, `${i}.json`), '{}');
  const { descriptors, problems } = await search(many);
  assert.deepEqual(descriptors, []);
  assert.equal(problems.length, descriptorCountLimit + 1);
  const unread = problems.filter(({ reason }) => reason !== 'description is missing');
  assert.deepEqual(
    unread.map(({ reason }) => reason),
    [
      `it and ${9999 - descriptorCountLimit} more come after ${descriptorCountLimit} others and were not read`,
    ],
  );
});

test('the firmware of this host: the package ovmf and ours', async () => {
  const { descriptors, problems } = await searchFirmware({ environment: {}, home: null });
  const paths = names(descriptors);
  assert.deepEqual(
    problems.filter(({ path }) => path.startsWith('/usr/share/')),
    [],
  );
  assert(paths.includes('/usr/share/qemu/firmware/60-edk2-x86_64.json'));
  const { chosen } = selectFirmware(descriptors, host);
  assert.equal(chosen?.path, '/usr/share/qemu/firmware/50-edk2-x86_64-secure.json');
  const bios = selectFirmware(descriptors, { ...host, interface: 'bios', nvramTemplate: false });
  assert.deepEqual(bios.chosen?.mapping, { device: 'memory', filename: '/usr/share/seabios/bios-256k.bin' });

  const rows = firmwareRows(descriptors, chosen);
  assert.deepEqual(
    rows.filter(({ auto }) => auto).map(({ path, secureBoot }) => [path, secureBoot]),
    [['/usr/share/qemu/firmware/50-edk2-x86_64-secure.json', true]],
  );
  assert(
    rows.some(({ interface: name, description }) => name === 'direct' && description.includes('--linux=')),
  );
  assert.equal(renderFirmwareList(rows, 'paths'), `${paths.join('\n')}\n`);
  assert.deepEqual(JSON.parse(renderFirmwareList(rows, 'json')), rows);
  const table = renderFirmwareList(rows, 'table').split('\n');
  assert.match(String(table[0]), /^PATH +INTERFACE +SECURE BOOT +AUTO +DESCRIPTION$/);
  assert(table.some((line) => /50-edk2-x86_64-secure.json +uefi +yes +yes +UEFI firmware/.test(line)));
});

test('our own descriptors come after the distribution and name what exists or are problems', async () => {
  const { descriptors, problems } = await search(asset('firmware'));
  const all = [...names(descriptors), ...names(problems)].sort();
  assert.deepEqual(
    all,
    ['90-seabios.json', '92-qboot.json', '94-direct-boot.json'].map((name) => asset('firmware', name)),
  );
  for (const { reason } of problems) assert.match(reason, /is not installed$/);
  for (const { mapping } of descriptors) {
    if (mapping.device === 'memory') assert(existsSync(mapping.filename));
  }
});

test('a table shows no control characters of a descriptor', () => {
  const rows = [
    { path: '/a\n.json', interface: 'uefi', secureBoot: false, description: 'x\u001b[31m\ny', auto: false },
  ];
  for (const form of ['table', 'paths'] as const) {
    const text = renderFirmwareList(rows, form);
    assert.doesNotMatch(text, /\u001b/);
    assert.equal(text.split('\n').length, form === 'table' ? 3 : 2);
  }
});

test('--firmware=PATH and describe', async () => {
  const path = write(join(directory, 'named.json'), sample({ extra: { kept: true } }));
  const named = await loadFirmware(path);
  assert.equal(named.path, path);
  const text = await describeFirmware(named);
  assert.deepEqual(JSON.parse(text), JSON.parse(readFileSync(path, 'utf8')));
  assert.match(text, /^\{\n {2}"description"/);
  await assert.rejects(loadFirmware(write(join(directory, 'text.json'), 'no JSON')), {
    code: 'FIRMWARE',
    message: `The firmware descriptor ${join(directory, 'text.json')} cannot be used: it is not JSON`,
  });
  await assert.rejects(loadFirmware(write(join(directory, 'empty.json'))), /it is empty/);
  await assert.rejects(loadFirmware(join(directory, 'absent.json')), /does not exist/);
  await assert.rejects(loadFirmware('/a\0b'), /its name contains a NUL byte/);
});
