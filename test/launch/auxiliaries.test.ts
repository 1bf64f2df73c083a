import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DisposalStack } from '../../src/disposal.ts';
import { AuxiliaryError, InterruptedError } from '../../src/errors.ts';
import { startAuxiliaries } from '../../src/launch/auxiliaries.ts';
import type { RunningAuxiliary } from '../../src/manager/manager.ts';
import type { PlannedAuxiliary } from '../../src/plan/plan.ts';

const never = new AbortController().signal;

function planned(name: string, required: boolean): PlannedAuxiliary {
  return {
    name,
    description: 'Daemon',
    binary: `/usr/bin/${name}`,
    workingDirectory: '/',
    arguments: [],
    socket: { kind: 'listening', path: `/run/${name}` },
    required,
    units: null,
  };
}

const all = [planned('files', true), planned('swtpm', false), planned('vsock', false)];

/** A manager whose daemons run, unless they fail; what happens is in `log`. */
function make(fails: readonly string[] = []) {
  const log: string[] = [];
  const end = new Map<string, (ended: string) => void>();
  const manager = {
    async startAuxiliary(plan: PlannedAuxiliary): Promise<RunningAuxiliary> {
      log.push(plan.name);
      const { name: daemon, required } = plan;
      if (fails.includes(daemon)) throw new AuxiliaryError(`${daemon} fails`, { daemon, required });
      const ended = new Promise<string>((resolve) => end.set(daemon, resolve));
      const lastWords = async () => 'out of order';
      return { plan, unit: null, ended, lastWords, [Symbol.asyncDispose]: async () => {} };
    },
  };
  return { log, end, manager, stack: new DisposalStack() };
}

test('without a copy all are started, in one order', async () => {
  const { log, manager, stack } = make();
  const running = await startAuxiliaries(all, null, manager, stack, never);
  assert.deepEqual(log, ['files', 'swtpm', 'vsock']);
  assert.deepEqual(
    running.map(({ plan }) => plan.name),
    log,
  );
});

test('a tree is copied behind those that can be done without, and before those that need it', async () => {
  const { log, manager, stack } = make();
  const copy = { make: async () => void log.push('copy') };
  const running = await startAuxiliaries(all, copy, manager, stack, never);
  assert.deepEqual(log, ['swtpm', 'vsock', 'copy', 'files']);
  assert.equal(running.length, 3);
});

test('no copy is made when one of them cannot be started', async () => {
  const { log, manager, stack } = make(['vsock']);
  const copy = { make: async () => void log.push('copy') };
  await assert.rejects(startAuxiliaries(all, copy, manager, stack, never), { daemon: 'vsock' });
  assert.deepEqual(log, ['swtpm', 'vsock']);
});

test('one that ends takes the copy along and is the cause; a start that is given up is not its fault', async () => {
  for (const givenUp of [false, true]) {
    const { log, manager, end, stack } = make();
    const stop = new AbortController();
    const copy = {
      make: (signal: AbortSignal) =>
        new Promise<void>((_resolve, reject) => {
          signal.addEventListener('abort', () => reject(InterruptedError.of(signal)));
          if (givenUp) stop.abort(new Error('enough'));
          end.get('swtpm')?.('exit status 3');
        }),
    };
    await assert.rejects(
      startAuxiliaries(all, copy, manager, stack, stop.signal),
      givenUp
        ? { code: 'INTERRUPTED' }
        : {
            daemon: 'swtpm',
            required: false,
            message: 'Daemon swtpm ended with exit status 3: out of order',
          },
    );
    assert.deepEqual(log, ['swtpm', 'vsock']);
  }
});
