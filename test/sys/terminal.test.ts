import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { spawn as spawnPty } from '@lydell/node-pty';
import { isTerminal, terminalSize } from '../../src/sys/stdio.ts';
import { getTerminalModes } from '../../src/sys/termios.ts';

const fixture = join(__dirname, 'fixtures/terminal.cjs');

test('on a terminal: size, raw modes without output processing, exact restore, long output', async () => {
  const pty = spawnPty(process.execPath, [fixture], { cols: 80, rows: 24 });
  let text = '';
  pty.onData((data) => {
    text += data;
    // Its exit may be seen before the rest of its output, which would be lost: so it waits for us.
    if (text.endsWith('\r\nend\r\n')) pty.write('\n');
  });
  const { exitCode } = await new Promise<{ exitCode: number }>((resolve) => pty.onExit(resolve));
  assert.equal(exitCode, 0, text.slice(0, 1000));
  const [first, long, last] = text.trim().split(/\r\n/);
  assert.deepEqual(JSON.parse(first ?? ''), {
    terminal: [true, true],
    size: { rows: 33, columns: 101 },
    changed: true,
    opost: false,
    restored: true,
  });
  assert.equal(long?.length, 200_000);
  assert.equal(last, 'end');
});

test('what is no terminal has no size and no modes', () => {
  assert.equal(isTerminal(1000), false);
  assert.equal(terminalSize(1000), null);
  assert.throws(() => getTerminalModes(1000), { code: 'EBADF', syscall: 'tcgetattr' });
});

const writer = join(__dirname, 'fixtures/writer.cjs');

test('output through a full, non-blocking pipe arrives whole', async () => {
  const child = spawn('sh', ['-c', `"$@" | (sleep 0.2; cat)`, 'sh', process.execPath, writer], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let length = 0;
  child.stdout.on('data', (data: Buffer) => {
    length += data.length;
  });
  await new Promise((resolve) => child.once('close', resolve));
  assert.equal(length, 1_000_000);
});

test('a reader that is gone is no error', () => {
  const result = spawnSync('bash', ['-o', 'pipefail', '-c', '"$@" | true', 'sh', process.execPath, writer]);
  assert.equal(result.status, 3, String(result.stderr));
});

test('a full disk is an error', () => {
  const result = spawnSync('bash', ['-c', '"$@" > /dev/full', 'sh', process.execPath, writer], {
    encoding: 'utf8',
  });
  assert.match(result.stderr, /ENOSPC/);
});
