import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { sideBySide } from '../../src/launch/side-by-side.ts';

const never = new AbortController().signal;

/** Ends only with its signal, and takes a while for that; `ended` says that it has. */
function untilAborted(log: string[], name: string): (signal: AbortSignal) => Promise<string> {
  return async (signal) => {
    await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
    for (let turn = 0; turn < 5; turn++) await setImmediate();
    log.push(name);
    throw new Error(`${name} was given up`);
  };
}

async function afterTurns(turns: number, message: string): Promise<never> {
  for (let turn = 0; turn < turns; turn++) await setImmediate();
  throw new Error(message);
}

test('results come in the order of the effects, whichever ends first', async () => {
  const slow = async () => {
    await setImmediate();
    return ['slow'];
  };
  assert.deepEqual(await sideBySide([slow, async () => ['quick'], async () => []], never), [
    ['slow'],
    ['quick'],
    [],
  ]);
  assert.deepEqual(await sideBySide([async () => undefined], never), [undefined]);
  assert.deepEqual(await sideBySide([], never), []);
});

test('the first failure in time ends the others, which are waited for, and is thrown', async () => {
  const log: string[] = [];
  await assert.rejects(
    sideBySide(
      [
        untilAborted(log, 'one'),
        () => afterTurns(4, 'late'),
        () => afterTurns(1, 'early'),
        untilAborted(log, 'two'),
      ],
      never,
    ),
    { message: 'early' },
  );
  assert.deepEqual(log, ['one', 'two']);
  const thrownAtOnce = (): Promise<string> => {
    throw new Error('at once');
  };
  await assert.rejects(sideBySide([thrownAtOnce, untilLooked], never), { message: 'at once' });
});

/** Starts when another one has failed already. */
async function untilLooked(signal: AbortSignal): Promise<string> {
  assert.ok(signal.aborted);
  assert.equal(signal.reason.message, 'at once');
  return 'done';
}

test('whoever gives up the start ends all of them', async () => {
  const log: string[] = [];
  const start = new AbortController();
  const running = sideBySide([untilAborted(log, 'one'), untilAborted(log, 'two')], start.signal);
  start.abort(new Error('SIGINT received'));
  await assert.rejects(running, { message: 'one was given up' });
  assert.deepEqual(log, ['one', 'two']);
});

test('a lesser failure ends nobody, and counts where there is no other', async () => {
  const endsOthers = (error: unknown) => error instanceof Error && error.message !== 'lesser';
  const seen: boolean[] = [];
  const patient = async (signal: AbortSignal) => {
    for (let turn = 0; turn < 5; turn++) await setImmediate();
    seen.push(signal.aborted);
  };
  const lesser = () => afterTurns(1, 'lesser');
  await assert.rejects(sideBySide([patient, lesser], never, endsOthers), { message: 'lesser' });
  assert.deepEqual(seen, [false]);
  await assert.rejects(sideBySide([lesser, () => afterTurns(3, 'greater')], never, endsOthers), {
    message: 'greater',
  });
});
