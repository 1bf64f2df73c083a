import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { renderArguments } from '../../src/qemu/arguments.ts';
import { QmpConnectionError, QmpError, QmpTimeoutError } from '../../src/qemu/errors.ts';
import { Qmp } from '../../src/qemu/qmp.ts';
import type { Behaviour } from '../fixtures/fake-qemu.ts';
import { minimal, type RunningQemu, startQemu } from './start-qemu.ts';

const command = [process.execPath, join(__dirname, '../fixtures/fake-qemu.cjs')];

function start(behaviour: Behaviour, options: { negotiate?: boolean } = {}): Promise<RunningQemu> {
  return startQemu(() => minimal('fake'), {
    command,
    environment: { FAKE_QEMU: JSON.stringify(behaviour) },
    ...options,
  });
}

/** A connection to a socket that somebody is about to make and to listen on. */
async function connected(path: string): Promise<Socket> {
  for (;;) {
    const socket = connect(path);
    try {
      await once(socket, 'connect');
      return socket;
    } catch {
      await setTimeout(10);
    }
  }
}

describe('Qmp with a scripted QEMU', { timeout: 120_000 }, () => {
  test('does what a real one does, as far as the ladder and the launcher look', async () => {
    const names = async (program: readonly string[]) => {
      await using vm = await startQemu(() => minimal('same'), { command: program });
      const seen: string[] = [];
      vm.qmp.onEvent(({ name, data }) => seen.push(`${name} ${JSON.stringify(data)}`));
      seen.push((await vm.qmp.execute('query-status')).status);
      await vm.qmp.execute('cont');
      await vm.qmp.execute('system_powerdown');
      if (program === command) return { seen };
      await vm.qmp.execute('quit');
      return { seen, exit: await vm.exited };
    };
    const [real, fake] = [await names(['qemu-system-x86_64']), await names(command)];
    assert.deepEqual(real.seen.slice(0, 3), ['prelaunch', 'RESUME {}', 'POWERDOWN {}']);
    assert.deepEqual(real.exit, { code: 0, signal: null });
    assert.deepEqual(fake.seen.slice(0, 2), ['prelaunch', 'RESUME {}']);
  });

  test('dies at once: status and words', async () => {
    await using vm = await start({ dies: { status: 3, words: 'no such device' } }, { negotiate: false });
    await assert.rejects(vm.qmp.negotiate(), QmpConnectionError);
    assert.deepEqual(await vm.exited, { code: 3, signal: null });
    assert.equal(vm.stderr(), 'no such device\n');
  });

  test('never greets, greets with rubbish, hangs after the greeting', async () => {
    await using silent = await start({ greetsAfter: null }, { negotiate: false });
    await assert.rejects(silent.qmp.negotiate({ timeout: 50 }), QmpTimeoutError);
    await using rubbish = await start({ greeting: 'HTTP/1.1 400\r\n' }, { negotiate: false });
    await assert.rejects(rubbish.qmp.negotiate(), QmpConnectionError);
    await using hung = await start({ hangsAfter: 1 });
    await assert.rejects(hung.qmp.execute('cont', undefined, { timeout: 50 }), QmpTimeoutError);
  });

  test('dies in the middle of a start', async () => {
    await using vm = await start({ diesAfter: { commands: 1, status: 1, words: 'out of memory' } });
    await assert.rejects(vm.qmp.execute('cont'), QmpConnectionError);
    assert.deepEqual(await vm.exited, { code: 1, signal: null });
    assert.equal(vm.stderr(), 'out of memory\n');
  });

  test('refuses a command', async () => {
    await using vm = await start({ refuses: { cont: 'Not now' } });
    await assert.rejects(
      vm.qmp.execute('cont'),
      new QmpError('cont', { class: 'GenericError', description: 'Not now' }),
    );
  });

  test('floods a client that does not read its events', async () => {
    await using vm = await start({ flood: 100_000 });
    const events = vm.qmp.events({ limit: 50 });
    await vm.qmp.execute('cont');
    assert.equal(events.lost, 100_000 + 1 - 50);
    const last = [];
    for (let count = 0; count < 50; count += 1) last.push((await events.next()).value?.name);
    assert.equal(last.at(-1), 'RESUME');
  });

  test('listens on a path, as QEMU does for the dry run', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'vmspawn-fake-'));
    try {
      const path = join(directory, 'qmp,sock');
      const [program = '', ...words] = command;
      const child = spawn(
        program,
        [
          ...words,
          ...renderArguments({
            ...minimal('fake'),
            chardevs: [{ id: 'qmp', backend: 'socket', path, server: true }],
            monitors: [{ chardev: 'qmp', mode: 'control' }],
          }),
        ],
        { stdio: 'ignore' },
      );
      try {
        const exited = once(child, 'exit');
        await using qmp = new Qmp(await connected(path));
        await qmp.negotiate();
        await qmp.execute('quit');
        assert.deepEqual(await exited, [0, null]);
        assert.equal(existsSync(path), false);
      } finally {
        child.kill('SIGKILL');
      }
    } finally {
      await rm(directory, { recursive: true });
    }
  });
});
