import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { EarlyChild, ExitStatus } from '../../src/child/early-child.ts';
import { LineTail } from '../../src/child/line-tail.ts';
import { InterruptedError, QemuError } from '../../src/errors.ts';
import { startFailure } from '../../src/launch/qemu-death.ts';
import type { RunningAuxiliary } from '../../src/manager/manager.ts';
import { makePlan } from '../../src/plan/make-plan.ts';
import * as hosts from '../plan/hosts.ts';

const lost = new QemuError('The connection is closed');
const never = new AbortController().signal;

test('a daemon whose death is heard of after that of QEMU is the cause', async () => {
  const error = await startFailure(
    lost,
    qemu('-tpmdev x: tpm-emulator: Failed to send'),
    [daemon('exit status 3', 50)],
    never,
  );
  assert.match(String(error), /TPM emulator swtpm \(x\.service\) ended with exit status 3: out of order/);
});

test('a daemon that follows QEMU is not the cause', async () => {
  for (const ended of ['exit status 0', 'signal SIGTERM']) {
    const error = await startFailure(lost, qemu('Could not open disk.raw'), [daemon(ended, 0)], never);
    assert.ok(error instanceof QemuError);
    assert.match(error.message, /exit status 1: Could not open disk\.raw$/);
  }
});

test('a port that is taken is told with what to do', async () => {
  const words = "-netdev {}: Could not set up host forwarding rule 'tcp:127.0.0.1:2222-:22'";
  const error = await startFailure(lost, qemu(words), [], never);
  assert.ok(error instanceof QemuError);
  assert.match(error.message, /exit status 1: .*'tcp:127\.0\.0\.1:2222-:22'$/);
  assert.match(error.hint ?? '', /choose another one with --port=\.$/);
});

test('a TPM state that swtpm cannot read', async () => {
  const error = await startFailure(
    lost,
    qemu('tpm-emulator: TPM result for CMD_INIT: 0x9'),
    [daemon('exit status 0', 0)],
    never,
  );
  assert.match(String(error), /TPM emulator swtpm does not work: QEMU did not start.*CMD_INIT: 0x9/);
});

test('the first of several daemons to die does not wait for the others', async () => {
  const waiting = { ...daemon('', 0), ended: new Promise<string>(() => {}) };
  const error = await startFailure(lost, qemu(null), [waiting, daemon('signal SIGKILL', 0)], never);
  assert.match(String(error), /ended with signal SIGKILL/);
});

test('an interrupt before QEMU is gone is the cause', async () => {
  const error = await startFailure(lost, qemu(null), [], AbortSignal.abort(new InterruptedError('SIGTERM')));
  assert.ok(error instanceof InterruptedError);
});

/** A QEMU that has ended with status 1 and these words, or that runs. */
function qemu(words: string | null): EarlyChild {
  const stderrTail = new LineTail();
  if (words !== null) stderrTail.add(Buffer.from(`qemu-system-x86_64: ${words}\n`));
  return {
    pid: 1,
    flavour: 'native',
    exited: words === null ? new Promise<ExitStatus>(() => {}) : Promise.resolve({ code: 1, signal: null }),
    stderrTail,
    kill: () => true,
    handOver: async () => {},
    [Symbol.asyncDispose]: async () => {},
  };
}

/** swtpm, whose end is heard of after so many milliseconds. */
function daemon(ended: string, milliseconds: number): RunningAuxiliary {
  const plan = makePlan(hosts.settings(), hosts.debian12, 'vm').auxiliaries[0];
  assert.ok(plan !== undefined);
  return {
    plan,
    unit: 'x.service',
    ended: sleep(milliseconds, ended),
    lastWords: async () => 'out of order',
    async [Symbol.asyncDispose]() {},
  };
}
