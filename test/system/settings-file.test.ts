import assert from 'node:assert/strict';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { smallGuest } from '../guests.ts';
import { directBoot, Run, scratch, vmspawn } from './harness.ts';

/** Settings that count until the next boot; what the tests here are run with has none of its own. */
function trustedFile(machine: string, text: string): { path: string } & Disposable {
  const path = `/run/vmspawn/${machine}.vmspawn`;
  mkdirSync('/run/vmspawn', { recursive: true, mode: 0o700 });
  writeFileSync(path, text);
  return { path, [Symbol.dispose]: () => rmSync(path, { force: true }) };
}

/** What a dry run as JSON says of processors and memory. */
function machineOf(stdout: string): { cpus: unknown; size: unknown } {
  const plan: unknown = JSON.parse(stdout);
  assert.ok(typeof plan === 'object' && plan !== null && 'qemu' in plan);
  const { qemu } = plan as { qemu: { configuration: { smp: { cpus: unknown }; memory: { size: unknown } } } };
  return { cpus: qemu.configuration.smp.cpus, size: qemu.configuration.memory.size };
}

test('a machine is started by its name alone when its settings file says the rest', {
  timeout: 120_000,
}, async () => {
  const { kernel, initrd } = smallGuest();
  using file = trustedFile(
    'settings-all',
    `# a machine\n[Execution]\nLinux=${kernel}\nInitrd=${initrd}\n[Firmware]\nFirmware=none\n` +
      '[Host]\nRam=256M\nTpm=no\nKvm=no\n',
  );
  const dry = await vmspawn(['-M', 'settings-all', '--dry-run=json', '--cpus=2']);
  assert.equal(dry.code, 0, dry.stderr);
  assert.ok(dry.stderr.includes(`Settings are read from ${file.path}.`), dry.stderr);
  assert.deepEqual(machineOf(dry.stdout), { cpus: 2, size: 256 * 1024 ** 2 });
  await using run = new Run(['-M', 'settings-all']);
  await run.seen(/vmspawn-small: ready/);
  run.type('poweroff');
  assert.equal((await run.ended).code, 0, run.stderr);
});

test('a machine is not named like a settings file, whose place its runtime directory would take', async () => {
  const end = await vmspawn([...directBoot('settings-dot.vmspawn')]);
  assert.equal(end.code, 1);
  assert.match(
    end.stderr,
    /^vmspawn: --machine=settings-dot\.vmspawn has the name of a settings file\. Give /,
  );
});

test('an error in the file is one sentence with file and line, and --settings=no does without it', async () => {
  using file = trustedFile('settings-bad', '[Host]\nRam=1G\nCpus=many\n');
  const words = [...directBoot('settings-bad'), '--dry-run=json'];
  const bad = await vmspawn(words);
  assert.equal(bad.code, 1);
  assert.equal(bad.stdout, '');
  assert.equal(bad.stderr, `vmspawn: ${file.path}:3: Cpus=many is no whole number from 1 to 4096.\n`);
  assert.equal((await vmspawn([...words, '--settings=no'])).code, 0);
});

test('a file beside the image cannot reach the host', async () => {
  using directory = scratch();
  const image = join(directory.path, 'settings-beside.raw');
  writeFileSync(image, Buffer.alloc(1024 ** 2));
  const file = join(directory.path, 'settings-beside.vmspawn');
  writeFileSync(file, '[Host]\nCpus=3\n[Execution]\nQemuArg=-no-such-argument\n');
  const words = [`--image=${image}`, '--firmware=bios', '--tpm=no', '--dry-run=json'];
  const dry = await vmspawn(words);
  assert.equal(dry.code, 0, dry.stderr);
  assert.ok(dry.stderr.startsWith(`vmspawn: ${file}: QemuArg= left out, because`), dry.stderr);
  assert.equal(machineOf(dry.stdout).cpus, 3);
  assert.ok(!dry.stdout.includes('no-such-argument'));
  const trusted = await vmspawn([...words, '--settings=trusted']);
  assert.ok(trusted.stdout.includes('no-such-argument'), trusted.stderr);
});

test('properties from the file are checked with file and line', async () => {
  using file = trustedFile('settings-property', '[Manager]\nProperty=MemoryMax=lots\n');
  const { code, stderr } = await vmspawn([...directBoot('settings-property'), '--dry-run']);
  assert.equal(code, 1);
  assert.ok(
    stderr.startsWith(
      `vmspawn: ${file.path}:2: Property=MemoryMax=lots has a value of another type, expected bytes`,
    ),
    stderr,
  );
});
