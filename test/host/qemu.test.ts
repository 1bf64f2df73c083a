import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readFile, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import fc from 'fast-check';
import type { FactCache } from '../../src/host/cache.ts';
import { findProgram } from '../../src/host/find.ts';
import { parseQemuFacts, probeQemu } from '../../src/host/qemu.ts';

const PATH = '/usr/local/bin:/usr/bin:/bin';

async function temporaryDirectory(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), 'vmspawn-host-'));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true }) };
}

/** Remembers, and counts what was asked and found. */
class Memory implements FactCache {
  readonly kept = new Map<string, unknown>();
  hits = 0;

  get(key: string): unknown {
    if (this.kept.has(key)) this.hits += 1;
    return structuredClone(this.kept.get(key));
  }

  set(key: string, value: unknown): void {
    this.kept.set(key, value);
  }
}

async function program(path: string, script: string): Promise<string> {
  await writeFile(path, `#!/bin/sh\n${script}\n`);
  await chmod(path, 0o755);
  return path;
}

/** The command line of a process, empty when it is gone. */
function commandOf(pid: string): Promise<string> {
  return readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
}

/** The reason why a script under the name of QEMU is of no use. */
async function refusal(script: string, options: { timeout?: number; name?: string } = {}): Promise<string> {
  await using directory = await temporaryDirectory();
  await program(join(directory.path, options.name ?? 'qemu-system-x86_64'), script);
  const facts = await probeQemu({
    cache: new Memory(),
    path: directory.path,
    architecture: 'x86_64',
    directories: [],
    ...(options.timeout === undefined ? {} : { timeout: options.timeout }),
  });
  assert.ok(!facts.usable);
  return facts.reason;
}

const greeting = (version: string) =>
  `echo '{"QMP": {"version": {"qemu": ${version}, "package": ""}, "capabilities": []}}'`;

describe('findProgram', () => {
  test('names before directories, executable regular files only, no relative entries', async () => {
    await using directory = await temporaryDirectory();
    const at = (...names: string[]) => join(directory.path, ...names);
    await mkdir(at('one', 'directory'), { recursive: true });
    await mkdir(at('two'));
    await writeFile(at('one', 'tool'), 'not executable');
    await program(at('two', 'tool'), '');
    await program(at('two', 'directory'), '');
    await program(at('one', 'other'), '');
    await symlink(at('nowhere'), at('one', 'dangling'));
    const path = `:relative:${at('one')}:${at('missing')}:${at('two')}`;
    assert.equal(findProgram(['tool'], { path }), at('two', 'tool'));
    assert.equal(findProgram(['directory'], { path }), at('two', 'directory'));
    assert.equal(findProgram(['tool', 'other'], { path }), at('two', 'tool'));
    assert.equal(findProgram(['dangling', 'other'], { path }), at('one', 'other'));
    assert.equal(findProgram(['tool'], { path: at('one'), extra: [at('two')] }), at('two', 'tool'));
    assert.equal(findProgram(['tool'], { path: at('one'), extra: [] }), null);
    assert.equal(findProgram([at('two', 'tool')], { path: '' }), at('two', 'tool'));
    assert.equal(findProgram(['./package.json', 'nothing-of-this-name'], { path }), null);
  });
});

describe('probeQemu', { timeout: 120_000 }, () => {
  test('reads a real QEMU, and asks it once only', async () => {
    const cache = new Memory();
    const facts = await probeQemu({ cache, path: PATH, architecture: 'x86_64' });
    assert.ok(facts.usable, facts.usable ? '' : facts.reason);
    assert.equal(facts.binary, '/usr/bin/qemu-system-x86_64');
    assert.ok(facts.version[0] >= 7);
    const q35 = facts.machines.find(({ alias }) => alias === 'q35');
    assert.match(q35?.name ?? '', /^pc-q35-\d+\.\d+$/);
    for (const name of ['virtio-blk-pci', 'virtio-serial-pci', 'tpm-crb'])
      assert.ok(facts.devices.includes(name), name);
    assert.ok(facts.accelerators.includes('tcg') && facts.accelerators.includes('kvm'));
    assert.equal(facts.sandbox, true);
    assert.equal(
      facts.schema.includes('discard-no-unref'),
      facts.version[0] > 8 || (facts.version[0] === 8 && facts.version[1] >= 1),
    );

    assert.equal(cache.hits, 0);
    assert.deepEqual(await probeQemu({ cache, path: PATH, architecture: 'x86_64' }), facts);
    assert.equal(cache.hits, 1);
  });

  test('what the cache holds is read with care', async () => {
    const cache = new Memory();
    const facts = await probeQemu({ cache, path: PATH, architecture: 'x86_64' });
    const [[key, good] = ['', null]] = cache.kept;
    for (const bad of [
      null,
      [],
      'x',
      { ...Object(good), version: ['7', 2, 0] },
      { ...Object(good), format: 0 },
      { ...Object(good), machines: [] },
      { ...Object(good), binary: '/bin/false' },
    ]) {
      cache.kept.set(key, bad);
      assert.deepEqual(await probeQemu({ cache, path: PATH, architecture: 'x86_64' }), facts);
      assert.deepEqual(cache.kept.get(key), good);
    }
    fc.assert(
      fc.property(fc.jsonValue(), fc.constantFrom(...Object.keys(Object(good))), (value, name) => {
        parseQemuFacts(value, '/usr/bin/qemu-system-x86_64');
        const parsed = parseQemuFacts({ ...Object(good), [name]: value }, '/usr/bin/qemu-system-x86_64');
        if (parsed !== null)
          assert.ok(parsed.version.every(Number.isSafeInteger) && parsed.devices.length > 0);
      }),
    );
  });

  test('another file under the same name is asked again', async () => {
    await using directory = await temporaryDirectory();
    const cache = new Memory();
    const binary = await program(
      join(directory.path, 'qemu-system-x86_64'),
      'exec /usr/bin/qemu-system-x86_64 "$@"',
    );
    const probe = () => probeQemu({ cache, path: directory.path, architecture: 'x86_64', directories: [] });
    assert.equal((await probe()).usable, true);
    await utimes(binary, 1, 1);
    assert.equal((await probe()).usable, true);
    assert.equal(cache.hits, 0);
    assert.equal(cache.kept.size, 2);
  });

  test('a qemu that is something else is passed over, and a wrapper is fine', async () => {
    await using directory = await temporaryDirectory();
    await program(join(directory.path, 'qemu'), 'echo "Usage: qemu COMMAND"; exit 2');
    const probe = () =>
      probeQemu({ cache: new Memory(), path: `${directory.path}`, architecture: 'x86_64', directories: [] });
    const alone = await probe();
    assert.ok(!alone.usable);
    assert.match(
      alone.reason,
      /\/qemu is of no use: it printed "Usage: qemu COMMAND" where QMP was expected/,
    );
    await program(join(directory.path, 'qemu-kvm'), 'exec /usr/bin/qemu-system-x86_64 "$@"');
    const facts = await probe();
    assert.ok(facts.usable);
    assert.equal(facts.binary, join(directory.path, 'qemu-kvm'));
  });

  test('an emulator of another architecture is refused', async () => {
    assert.match(
      await refusal('exec /usr/bin/qemu-system-i386 "$@"', { name: 'qemu-kvm' }),
      /it emulates i386, not x86_64/,
    );
  });

  test('none at all: the package is named', async () => {
    const reason = async (architecture: string) => {
      const facts = await probeQemu({
        cache: new Memory(),
        path: '/nonexistent',
        architecture,
        directories: [],
      });
      assert.ok(!facts.usable);
      return facts.reason;
    };
    assert.equal(
      await reason('x86_64'),
      'no qemu-system-x86_64 in PATH (Debian has it in the package qemu-system-x86)',
    );
    assert.match(await reason('aarch64'), /package qemu-system-arm\)/);
  });

  test('one that is too old is told from what it lacks', async () => {
    assert.match(
      await refusal(`${greeting('{"major": 6, "minor": 1, "micro": 3}')}; exec cat >/dev/null`, {
        timeout: 200,
      }),
      /it is QEMU 6\.1\.3, and 7\.2\.0 or newer is needed \(for -netdev as JSON\)/,
    );
  });

  test('a QEMU ends with the program that asks it, even by SIGKILL', async () => {
    await using directory = await temporaryDirectory();
    // Gets no question and no end of its input, so that it would run for ever.
    await program(
      join(directory.path, 'qemu-system-x86_64'),
      'mkfifo "$0.in"; echo $$ > "$0.pid.new"; mv "$0.pid.new" "$0.pid"; exec /usr/bin/qemu-system-x86_64 "$@" <> "$0.in"',
    );
    const asker = spawn(process.execPath, [join(__dirname, '../fixtures/probe.cjs'), directory.path], {
      stdio: 'ignore',
    });
    const pidFile = join(directory.path, 'qemu-system-x86_64.pid');
    while (!existsSync(pidFile)) await setTimeout(10);
    const pid = (await readFile(pidFile, 'utf8')).trim();
    while (!(await commandOf(pid)).includes('-incoming')) await setTimeout(10);
    asker.kill('SIGKILL');
    while ((await commandOf(pid)) !== '') await setTimeout(10);
  });

  test('one that dies, talks rubbish, floods or hangs is refused with its words', async () => {
    assert.match(
      await refusal('echo "symbol lookup error: libfoo.so.1" >&2; exit 127'),
      /it ended with status 127 and said: symbol lookup error: libfoo\.so\.1$/,
    );
    assert.match(await refusal('kill -SEGV $$'), /it was killed by SIGSEGV and said nothing/);
    assert.match(
      await refusal('echo "{\\"QMP\\""; sleep 100'),
      /it printed "\{\\"QMP\\"" where QMP was expected/,
    );
    assert.match(await refusal('exec cat /dev/zero'), /it printed more than 16 MB/);
    assert.match(
      await refusal('echo waiting for a lock >&2; sleep 1000', { timeout: 300 }),
      /it did not answer within 0\.3 s; its last words: waiting for a lock/,
    );
    assert.match(
      await refusal(`${greeting('{"major": 9, "minor": 0, "micro": 0}')}`),
      /ended with status 0 and said nothing/,
    );
    await using directory = await temporaryDirectory();
    await writeFile(join(directory.path, 'qemu-system-x86_64'), '\x7fELF garbage');
    await chmod(join(directory.path, 'qemu-system-x86_64'), 0o755);
    const facts = await probeQemu({
      cache: new Memory(),
      path: directory.path,
      architecture: 'x86_64',
      directories: [],
    });
    assert.ok(
      !facts.usable && /it cannot be started \(spawn .*ENOEXEC|it ended with status/.test(facts.reason),
      JSON.stringify(facts),
    );
  });
});
