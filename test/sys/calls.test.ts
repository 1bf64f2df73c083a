import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import {
  closeSync,
  existsSync,
  fstatSync,
  mkdtempSync,
  readFileSync,
  readSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { pipe } from '../../src/sys/descriptors.ts';
import {
  descriptorLimit,
  originalDescriptorLimit,
  parseDescriptorLimit,
  setDescriptorLimit,
} from '../../src/sys/limits.ts';
import { acquireLock, LockHeldError } from '../../src/sys/lock.ts';
import { droppableRanges, trimMemory } from '../../src/sys/madvise.ts';
import { createMemfd, sealMemfd } from '../../src/sys/memfd.ts';
import { notifyManager } from '../../src/sys/notify.ts';
import { openPidfd, ownPidfdId } from '../../src/sys/pidfd.ts';
import { readPipe } from '../../src/sys/pipe-reader.ts';

const directory = mkdtempSync(join(tmpdir(), 'vmspawn-test-'));
after(() => rmSync(directory, { recursive: true }));

test('a memfd holds its content; sealed, it cannot be written', () => {
  const fd = createMemfd('secret', Buffer.from('content'));
  const buffer = Buffer.alloc(20);
  assert.equal(buffer.toString('utf8', 0, readSync(fd, buffer, 0, 20, 0)), 'content');
  sealMemfd(fd);
  assert.throws(() => writeSync(fd, 'x', 0), { code: 'EPERM' });
  closeSync(fd);
  assert.throws(() => sealMemfd(fd), { code: 'EBADF', syscall: 'fcntl(F_ADD_SEALS)' });
});

test('a lock keeps a second holder out and names the first; it can be taken again after disposal', () => {
  const path = join(directory, 'name.lock');
  const lock = acquireLock(path, 'vmspawn\ndebian');
  assert.throws(
    () => acquireLock(path, 'other'),
    (error) => {
      assert.ok(error instanceof LockHeldError);
      assert.deepEqual(error.holder, { pid: process.pid, name: 'vmspawn debian' });
      return true;
    },
  );
  lock[Symbol.dispose]();
  lock[Symbol.dispose]();
  assert.equal(readFileSync(path, 'utf8'), '');
  acquireLock(path, 'again')[Symbol.dispose]();
  assert.ok(existsSync(path));
});

test('a lock whose file says nothing useful is held by somebody unknown; a symbolic link is refused', () => {
  const path = join(directory, 'garbage.lock');
  const lock = acquireLock(path, 'x');
  writeFileSync(path, '\0\0no number here');
  assert.throws(() => acquireLock(path, 'other'), { name: 'LockHeldError', holder: null });
  lock[Symbol.dispose]();
  const link = join(directory, 'link.lock');
  spawnSync('ln', ['-s', path, link]);
  assert.throws(() => acquireLock(link, 'x'), { code: 'ELOOP' });
});

test('a lock ends with the process that holds it, however it ends', async () => {
  const path = join(directory, 'dead.lock');
  writeFileSync(path, '');
  const holder = spawn('python3', [
    '-c',
    `import fcntl,struct,time
f=open(${JSON.stringify(path)},'r+b')
fcntl.fcntl(f,37,struct.pack('hhqqi4x',1,0,0,0,0))
print('held',flush=True); time.sleep(60)`,
  ]);
  await new Promise((resolve) => holder.stdout.once('data', resolve));
  assert.throws(() => acquireLock(path, 'x'), LockHeldError);
  const ended = new Promise((resolve) => holder.once('close', resolve));
  holder.kill('SIGKILL');
  await ended;
  acquireLock(path, 'x')[Symbol.dispose]();
});

test('the inode of our pidfd, where each process has its own', () => {
  using mine = openPidfd(process.pid);
  using other = openPidfd(process.ppid);
  const [inode, others] = [mine, other].map(({ fd }) => fstatSync(fd, { bigint: true }).ino);
  assert.equal(ownPidfdId(), inode === others ? null : inode);
});

test('a pidfd sends signals and tells the end', async () => {
  const child = spawn('sleep', ['60']);
  assert.ok(child.pid !== undefined);
  const ended = new Promise((resolve) => child.once('exit', (_code, signal) => resolve(signal)));
  const pidfd = openPidfd(child.pid);
  pidfd.signal('SIGUSR1');
  await pidfd.exited();
  assert.equal(await ended, 'SIGUSR1');
  assert.throws(() => pidfd.signal('SIGTERM'), { code: 'ESRCH' });
  await pidfd[Symbol.asyncDispose]();
  pidfd[Symbol.dispose]();
  assert.throws(() => openPidfd(999_999_999));
});

test('a pipe is read as it fills, drained on request, and ends with its last writer', async () => {
  const [out, into] = pipe();
  let text = '';
  const reader = readPipe(out, (chunk) => {
    text += chunk;
  });
  const keepAlive = setInterval(() => {}, 1000);
  writeSync(into, 'one ');
  reader.drain();
  assert.equal(text, 'one ');
  writeSync(into, 'two');
  closeSync(into);
  await reader.ended;
  assert.equal(text, 'one two');
  reader[Symbol.dispose]();
  clearInterval(keepAlive);
});

test('the descriptor limit is read and set; the parent tells what it was', () => {
  const limit = descriptorLimit();
  assert.ok(limit.soft <= limit.hard);
  const low = { soft: 200, hard: limit.hard };
  setDescriptorLimit(low);
  assert.deepEqual(descriptorLimit(), low);
  setDescriptorLimit(limit);
  assert.throws(() => setDescriptorLimit({ soft: limit.hard + 1, hard: limit.hard }), { code: 'EINVAL' });
  const original = originalDescriptorLimit();
  assert.equal(original.hard, limit.hard);

  assert.deepEqual(parseDescriptorLimit('X\nMax open files            1024     524288     files \n'), {
    soft: 1024,
    hard: 524288,
  });
  assert.deepEqual(parseDescriptorLimit('Max open files   7   unlimited   files'), {
    soft: 7,
    hard: Infinity,
  });
  assert.equal(parseDescriptorLimit('Max processes 1 1 '), null);
});

test('the soft limit that the shell set is found again behind the one that Node raised', () => {
  const result = spawnSync(
    'sh',
    ['-c', 'ulimit -Sn 777; "$@"; exit $?', 'sh', process.execPath, join(__dirname, 'fixtures/limits.cjs')],
    { encoding: 'utf8' },
  );
  assert.equal(result.status, 0, result.stderr);
  const { hard } = descriptorLimit();
  assert.deepEqual(JSON.parse(result.stdout), { now: { soft: hard, hard }, original: { soft: 777, hard } });
});

const notifyServer = `
import socket,sys
s=socket.socket(socket.AF_UNIX,socket.SOCK_DGRAM)
a=sys.argv[1]
s.bind('\\0'+a[1:] if a[0]=='@' else a)
print('bound',flush=True)
print(repr(s.recv(65536)),flush=True)`;

for (const address of [join(directory, 'notify.sock'), `@vmspawn-test-${process.pid}`]) {
  test(`a notification reaches ${address[0] === '@' ? 'an abstract name' : 'a path'} as one datagram`, async () => {
    const server = spawn('python3', ['-c', notifyServer, address]);
    let text = '';
    const closed = new Promise((resolve) => server.once('close', resolve));
    await new Promise<void>((resolve) =>
      server.stdout.on('data', (data) => {
        text += data;
        if (text.includes('bound')) resolve();
      }),
    );
    notifyManager(address, ['READY=1', 'STATUS=up']);
    await closed;
    assert.equal(text, "bound\nb'READY=1\\nSTATUS=up'\n");
  });
}

test('a notification to nobody is an error with the name of the call', () => {
  assert.throws(() => notifyManager(join(directory, 'none'), ['READY=1']), {
    code: 'ENOENT',
    syscall: 'connect',
  });
  assert.throws(() => notifyManager(`/${'x'.repeat(120)}`, ['READY=1']), { name: 'PathTooLongError' });
});

test('only private, read-only, clean, unswapped, unlocked maps of files may be dropped', () => {
  const map = (head: string, fields: Record<string, number> = {}) =>
    `${head}\n${Object.entries({
      Size: 8,
      Private_Clean: 8,
      Private_Dirty: 0,
      Anonymous: 0,
      Swap: 0,
      Locked: 0,
      ...fields,
    })
      .map(([name, value]) => `${`${name}:`.padEnd(16)}${String(value).padStart(8)} kB`)
      .join('\n')}\nVmFlags: rd mr mw me`;
  const smaps = [
    map('1000-3000 r-xp 00000000 fe:00 12                  /usr/bin/node'),
    map('3000-4000 r--p 00000000 fe:00 12                  /usr/lib/with a space (deleted)'),
    map('4000-5000 rw-p 00000000 fe:00 12                  /usr/bin/node'),
    map('5000-6000 r--s 00000000 fe:00 12                  /shared'),
    map('6000-7000 r--p 00000000 fe:00 12                  /relro', { Private_Dirty: 4 }),
    map('7000-8000 r--p 00000000 fe:00 12                  /relro', { Anonymous: 4 }),
    map('8000-9000 r--p 00000000 fe:00 12                  /relro', { Swap: 4 }),
    map('9000-a000 r--p 00000000 fe:00 12                  /locked', { Locked: 4 }),
    map('a000-b000 r--p 00000000 00:00 0 '),
    map('b000-c000 r-xp 00000000 00:00 0                   [vdso]'),
    'c000-d000 r--p 00000000 fe:00 12                  /cut off',
  ].join('\n');
  assert.deepEqual(droppableRanges(smaps), [
    { start: 0x1000n, length: 0x2000n },
    { start: 0x3000n, length: 0x1000n },
  ]);
});

test('the program works on after its clean pages were dropped', () => {
  const before = resident();
  assert.ok(trimMemory() > 1_000_000);
  const now = resident();
  assert.ok(now < before, `${now} kB of files after ${before} kB`);
  assert.equal(JSON.stringify([1, 2, 3].map((value) => value * 2)), '[2,4,6]');
});

function resident(): number {
  return Number(/^RssFile:\s+(\d+)/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]);
}

test('nothing of koffi is loaded by importing', () => {
  const maps = spawnSync(
    process.execPath,
    [
      '-e',
      `require(${JSON.stringify(join(__dirname, 'fixtures/imports.cjs'))}); console.log(require('fs').readFileSync('/proc/self/maps', 'utf8'))`,
    ],
    { encoding: 'utf8' },
  );
  assert.equal(maps.status, 0, maps.stderr);
  assert.match(maps.stdout, /node/);
  assert.doesNotMatch(maps.stdout, /koffi/);
});
