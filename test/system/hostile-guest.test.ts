import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { smallShell } from '../small-shell.ts';
import { Datagrams } from '../sys/datagrams.ts';
import { directBoot, leftovers, Run, until } from './harness.ts';

/** kB of memory that only this process uses, or its part of it (proc_pid_smaps(5), smaps_rollup). */
function memory(pid: number): number {
  const [, kilobytes] = /^Pss:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8')) ?? [];
  return Number(kilobytes);
}

/** Far more than garbage that has not been collected yet, far less than what the guest sends would be if it were kept. */
const growth = 24 * 1024;

test('a guest that sends anything but messages is not believed and uses no memory', {
  timeout: 300_000,
}, async () => {
  using manager = new Datagrams(`@vmspawn-test-hostile-${process.pid}`);
  const texts: string[] = [];
  const told = (pattern: RegExp) => {
    texts.push(...manager.texts());
    return texts.filter((text) => pattern.test(text));
  };
  await using run = new Run([...directBoot('hostile'), '--notify-ready=yes'], {
    NOTIFY_SOCKET: manager.address,
  });
  const guest = await smallShell(run);
  const supervisor = run.child.pid ?? 0;
  await guest(
    'p=$(grep -l org.vmspawn.notify /sys/class/virtio-ports/*/name); p=/dev/$(basename $(dirname $p)); ls $p',
  );
  /** Everything before it was read by the supervisor when its status has come through, which takes one a second. */
  let count = 0;
  const settled = async () => {
    count++;
    await guest(`echo STATUS=mark-${count} > $p`);
    await until(() => told(new RegExp(`^STATUS=Guest: mark-${count}$`, 'm')).length > 0);
  };
  await settled();
  const before = memory(supervisor);

  // No message that makes it ready, and none that ends it with a status.
  await guest("printf '\\377\\376READY=1\\nready=1\\nREADY=1 \\n READY=1\\nREADY=2\\nREADY=1\\0\\n' > $p");
  await guest("{ printf 'STATUS=x'; head -c 100000 /dev/zero; echo; } > $p");
  await guest("{ printf 'STATUS=x'; head -c 10000000 /dev/zero; echo; } > $p");
  await settled();
  const afterBytes = memory(supervisor);
  assert.ok(afterBytes - before < growth, `${before} kB, with 10 MB without an end ${afterBytes} kB`);
  assert.deepEqual(told(/^READY=1$/m), []);
  assert.deepEqual(told(/Guest: x/), [], 'a line without an end is no status');

  await guest("printf 'STATUS=\\033]0;title\\007\\033[2Jwiped\\r\\n' > $p");
  await until(() => told(/wiped/).length > 0);
  assert.deepEqual(told(/\\x1b\]0;title\\x07\\x1b\[2Jwiped$/m).length, 1);
  await guest("printf 'EXIT_STATUS=7\\n' > $p");
  await guest(
    "printf 'EXIT_STATUS=256\\nEXIT_STATUS=-1\\nEXIT_STATUS=99999999999999999999\\nEXIT_STATUS=abc\\nEXIT_STATUS=\\nEXIT_STATUS=1e1\\nEXIT_STATUS=0x1\\n' > $p",
  );
  await guest('yes READY=1 | head -n 10000 > /ready; yes STATUS=flood | head -n 10000 > /status');
  await guest('i=0; while [ $i -lt 100 ]; do cat /ready; i=$((i + 1)); done > $p; cat /status > $p');
  await settled();
  const afterMessages = memory(supervisor);
  assert.ok(afterMessages - before < growth, `${before} kB, with a million messages ${afterMessages} kB`);
  assert.equal(told(/^READY=1$/m).length, 1);
  assert.equal(
    texts.some((text) => /[\0-\x09\x0b-\x1f\x7f]/.test(text)),
    false,
  );

  // The port stays open, in the middle of a line.
  await guest("{ printf 'EXIT_STATUS'; sleep 10000; } > $p & true");
  run.type('poweroff -f');
  const end = await run.ended;
  assert.equal(end.code, 7, end.stderr);
  assert.equal(/[\0-\x09\x0b-\x1f\x7f]/.test(end.stderr), false);
  assert.deepEqual(leftovers('hostile'), []);
});
