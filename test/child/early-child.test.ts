import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import {
  closeSync,
  existsSync,
  fstatSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { spawn as spawnPty } from '@lydell/node-pty';
import { type ExecRequest, startEarlyChild } from '../../src/child/early-child.ts';
import { HandOverError, InterruptedError } from '../../src/errors.ts';
import { DescriptorStream } from '../../src/sys/descriptor-stream.ts';
import { openPidfd } from '../../src/sys/pidfd.ts';
import { socketpair } from '../../src/sys/socketpair.ts';

const directory = mkdtempSync(join(tmpdir(), 'vmspawn-test-'));
after(() => rmSync(directory, { recursive: true }));

const request = (words: readonly string[], more: Partial<ExecRequest> = {}): ExecRequest => ({
  argv: words,
  environment: {},
  descriptors: [],
  descriptorLimit: null,
  ownSession: true,
  ...more,
});

/** What the program sees of itself. It lists its descriptors before it opens any, so by reading links by number. */
const probe = `
import json, os, resource, signal
fds = {}
for fd in range(0, 1200):
    try: fds[fd] = os.readlink('/proc/self/fd/%d' % fd)
    except OSError: pass
status = dict(line.split(':', 1) for line in open('/proc/self/status') if ':' in line)
print(json.dumps({
    'pid': os.getpid(), 'session': os.getsid(0), 'fds': fds,
    'SigBlk': int(status['SigBlk'], 16), 'limit': resource.getrlimit(resource.RLIMIT_NOFILE),
    'env': dict(os.environ), 'argv': open('/proc/self/cmdline').read().split('\\0')[3:-1],
    'deathsig': (lambda b: (__import__('ctypes').CDLL(None).prctl(2, b), b[0])[1])((__import__('ctypes').c_int * 1)()),
}))`;

interface Seen {
  pid: number;
  session: number;
  fds: Record<string, string>;
  SigBlk: number;
  limit: [number, number];
  env: Record<string, string>;
  argv: string[];
  deathsig: number;
}

function openDescriptors(): string[] {
  return readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      return [`${fd} ${readlinkSync(`/proc/self/fd/${fd}`)}`];
    } catch {
      return [];
    }
  });
}

for (const flavour of ['native', 'node'] as const) {
  test(`${flavour}: the program has the words, variables, limit and descriptors it was given, and no others`, async () => {
    const file = openSync(join(directory, 'output'), 'w+');
    const stray = openSync('/dev/zero', 'r');
    await using child = startEarlyChild({ flavour });
    assert.equal(child.flavour, flavour);
    await child.handOver(
      request(['/usr/bin/python3', '-c', probe, 'ä\n"', '', 'x'], {
        environment: { LANG: 'C.UTF-8', EMPTY: '', GONE: undefined },
        // Numbers that are in each other's way, and that of the channel.
        descriptors: [
          { target: 1, fd: file },
          { target: 3, fd: stray },
          { target: 4, fd: file },
          { target: 1000, fd: stray },
        ],
        descriptorLimit: { soft: 1017, hard: 2000 },
      }),
    );
    assert.deepEqual(await child.exited, { code: 0, signal: null }, child.stderrTail.last().join('\n'));
    const seen = JSON.parse(readFileSync(join(directory, 'output'), 'utf8')) as Seen;
    assert.equal(seen.pid, child.pid);
    assert.equal(seen.session, child.pid);
    assert.equal(seen.SigBlk, 0);
    assert.equal(seen.deathsig, 15);
    assert.deepEqual(seen.limit, [1017, 2000]);
    assert.deepEqual(seen.argv, ['ä\n"', '', 'x']);
    assert.equal(seen.env['EMPTY'], '');
    assert.equal(seen.env['LANG'], 'C.UTF-8');
    assert.equal('GONE' in seen.env || 'PATH' in seen.env, false);
    const { 0: stdin, 2: stderr, ...rest } = seen.fds;
    assert.equal(stdin, '/dev/null');
    assert.match(stderr ?? '', /^pipe:/);
    assert.deepEqual(rest, {
      1: join(directory, 'output'),
      3: '/dev/zero',
      4: join(directory, 'output'),
      1000: '/dev/zero',
    });
    closeSync(file);
    closeSync(stray);
  });

  test(`${flavour}: no signal is ignored or blocked afterwards`, async () => {
    await using child = startEarlyChild({ flavour });
    await child.handOver(request(['/bin/grep', '-E', '^Sig(Ign|Blk)', '/proc/self/status']));
    assert.equal((await child.exited).code, 0);
    assert.deepEqual(
      child.stderrTail.last().map((line) => line.replace(/ /g, '')),
      ['SigBlk:0000000000000000', 'SigIgn:0000000000000000'],
    );
  });

  test(`${flavour}: 600 descriptors in several messages, and a command line of 100 KB`, async () => {
    const file = openSync('/dev/zero', 'r');
    await using child = startEarlyChild({ flavour });
    const long = 'w'.repeat(100_000);
    await child.handOver(
      request(['/bin/sh', '-c', 'ls /proc/self/fd | wc -l; echo $#.$' + '{#1}', 'sh', long, 'y'], {
        environment: { PATH: '/bin:/usr/bin' },
        descriptors: Array.from({ length: 600 }, (_, index) => ({ target: 700 - index, fd: file })),
      }),
    );
    closeSync(file);
    assert.equal((await child.exited).code, 0);
    // ls opens the directory itself, and its three standard descriptors are there too.
    assert.deepEqual(child.stderrTail.last(), ['604', '2.100000']);
  });

  test(`${flavour}: what cannot be executed is named, with the reason`, async () => {
    const text = join(directory, 'text');
    writeFileSync(text, 'no program');
    const cases: [string, RegExp, number][] = [
      ['/nonexistent/qemu', /\/nonexistent\/qemu cannot be executed: no such file/, 127],
      [text, /text cannot be executed: no permission/, 126],
      [directory, /cannot be executed: no permission/, 126],
    ];
    for (const [program, message, code] of cases) {
      await using child = startEarlyChild({ flavour });
      await assert.rejects(child.handOver(request([program])), (error) => {
        assert.ok(error instanceof HandOverError);
        assert.match(error.message, message);
        return true;
      });
      assert.equal((await child.exited).code, code);
    }
  });

  test(`${flavour}: a request that cannot be sent is refused here`, async () => {
    for (const bad of [
      request(['qemu']),
      request([]),
      request(['/bin/true', 'a\0b']),
      request(['/bin/true', 'x'.repeat(5_000_000)]),
      request(['/bin/true'], {
        descriptors: [
          { target: 5, fd: 0 },
          { target: 5, fd: 0 },
        ],
      }),
      request(['/bin/true'], { descriptors: [{ target: -1, fd: 0 }] }),
      request(['/bin/true'], { descriptors: [{ target: 5, fd: 99_999 }] }),
    ]) {
      await using child = startEarlyChild({ flavour });
      await assert.rejects(child.handOver(bad), HandOverError);
    }
  });

  test(`${flavour}: a single word that is too long for the kernel is told by the child`, async () => {
    await using child = startEarlyChild({ flavour });
    await assert.rejects(child.handOver(request(['/bin/true', 'x'.repeat(300_000)])), /too long/);
  });

  test(`${flavour}: a child that was killed before is an error; a second hand-over is one too`, async () => {
    await using child = startEarlyChild({ flavour });
    child.kill('SIGKILL');
    assert.deepEqual(await child.exited, { code: null, signal: 'SIGKILL' });
    await assert.rejects(child.handOver(request(['/bin/true'])), HandOverError);
    await assert.rejects(child.handOver(request(['/bin/true'])), /already/);
  });

  test(`${flavour}: Ctrl-C does not end the waiting child, SIGTERM does`, async () => {
    await using child = startEarlyChild({ flavour });
    await ready(child.pid);
    child.kill('SIGINT');
    child.kill('SIGHUP');
    await using other = startEarlyChild({ flavour });
    await other.handOver(request(['/bin/true']));
    await other.exited;
    assert.ok(existsSync(`/proc/${child.pid}`));
    child.kill('SIGTERM');
    assert.deepEqual(await child.exited, { code: null, signal: 'SIGTERM' });
  });

  test(`${flavour}: without a session of its own the program stays in ours`, async () => {
    await using child = startEarlyChild({ flavour });
    await child.handOver(
      request(['/bin/sh', '-c', 'cut -d" " -f6 < /proc/self/stat'], {
        ownSession: false,
        environment: { PATH: '/usr/bin:/bin' },
      }),
    );
    await child.exited;
    const ours = readFileSync('/proc/self/stat', 'utf8').split(' ')[5];
    assert.deepEqual(child.stderrTail.last(), [ours]);
  });

  for (const mode of ['waiting', 'handed-over']) {
    test(`${flavour}: it ends with a supervisor that is killed, ${mode}`, async () => {
      const supervisor = spawn(
        process.execPath,
        [join(__dirname, 'fixtures/supervisor.cjs'), flavour, mode],
        {
          stdio: ['ignore', 'pipe', 'inherit'],
        },
      );
      const pid = Number(
        await new Promise((resolve) => supervisor.stdout.once('data', (data) => resolve(String(data)))),
      );
      assert.ok(pid > 1);
      using pidfd = openPidfd(pid);
      supervisor.kill('SIGKILL');
      await pidfd.exited();
    });
  }

  for (const mode of ['waiting', 'handed-over']) {
    test(`${flavour}: Ctrl-C in the terminal reaches the supervisor alone, ${mode}`, async () => {
      const pty = spawnPty(process.execPath, [join(__dirname, 'fixtures/supervisor.cjs'), flavour, mode], {});
      let text = '';
      const until = (pattern: RegExp) =>
        new Promise<RegExpExecArray>((resolve) => {
          const look = (data: string) => {
            text += data;
            const match = pattern.exec(text);
            if (match !== null) resolve(match);
          };
          pty.onData(look);
        });
      const ended = new Promise((resolve) => pty.onExit(resolve));
      const pid = Number((await until(/(\d+)\r\n/))[1]);
      if (mode === 'waiting') await ready(pid);
      const interrupted = until(/interrupted/);
      // Again and again: a press while the terminal is still being set up is lost.
      const pressing = setInterval(() => pty.write('\x03'), 200);
      await interrupted;
      clearInterval(pressing);
      assert.match(readFileSync(`/proc/${pid}/stat`, 'utf8'), /\) S /);
      using pidfd = openPidfd(pid);
      pty.kill('SIGKILL');
      await pidfd.exited();
      await ended;
    });
  }

  test(`${flavour}: it says so when the supervisor closes the channel first`, async () => {
    const [ours, theirs] = socketpair();
    const program = flavour === 'native' ? 'dist/vmspawn-child' : process.execPath;
    const words = flavour === 'native' ? [] : ['dist/child.cjs'];
    const child = spawn(program, [...words, String(process.pid)], {
      stdio: ['ignore', 'ignore', 'pipe', theirs],
    });
    closeSync(theirs);
    let text = '';
    child.stderr?.on('data', (data) => {
      text += data;
    });
    const closed = new Promise((resolve) => child.once('close', resolve));
    closeSync(ours);
    assert.equal(await closed, 125);
    assert.match(text, /the supervisor went away before the hand-over/);
  });

  test(`${flavour}: an aborted hand-over is interrupted, and disposal leaves nothing behind`, async () => {
    const before = openDescriptors();
    const controller = new AbortController();
    let pid = 0;
    {
      await using child = startEarlyChild({ flavour });
      pid = child.pid;
      controller.abort(new Error('SIGTERM'));
      await assert.rejects(
        child.handOver(request(['/bin/sleep', '100']), controller.signal),
        InterruptedError,
      );
    }
    assert.equal(existsSync(`/proc/${pid}`), false);
    assert.deepEqual(openDescriptors(), before);
    assert.throws(() => startEarlyChild({ flavour, signal: controller.signal }), InterruptedError);

    const later = new AbortController();
    await using stopped = startEarlyChild({ flavour });
    stopped.kill('SIGSTOP');
    const handOver = stopped.handOver(request(['/bin/true']), later.signal);
    later.abort();
    await assert.rejects(handOver, InterruptedError);
  });

  test(`${flavour}: it becomes QEMU, which answers on the QMP socket it was given`, async () => {
    const [ours, theirs] = socketpair();
    await using qmp = new DescriptorStream(ours);
    await using child = startEarlyChild({ flavour });
    await child.handOver(
      request(
        '/usr/bin/qemu-system-x86_64 -S -nodefaults -no-user-config -display none -machine q35,accel=tcg -chardev socket,id=qmp,fd=5 -mon chardev=qmp,mode=control'.split(
          ' ',
        ),
        { descriptors: [{ target: 5, fd: theirs }], descriptorLimit: { soft: 1024, hard: 4096 } },
      ),
    );
    closeSync(theirs);
    assert.equal(readlinkSync(`/proc/${child.pid}/exe`), '/usr/bin/qemu-system-x86_64');
    assert.ok(fstatSync(ours).isSocket());
    let text = '';
    qmp.on('data', (data) => {
      text += data;
    });
    const until = (pattern: RegExp) =>
      new Promise<void>((resolve) => {
        const look = () => {
          if (pattern.test(text)) resolve();
        };
        qmp.on('data', look);
        look();
      });
    await until(/"QMP"/);
    qmp.write('{"execute":"qmp_capabilities"}{"execute":"query-status"}');
    await until(/"prelaunch"/);
    qmp.write('{"execute":"quit"}');
    assert.deepEqual(await child.exited, { code: 0, signal: null });
  });
}

test('a compiled child that cannot run here gives way to the Node one, unless it is insisted on', async () => {
  const elf = readFileSync('dist/vmspawn-child');
  const foreign = Buffer.from(elf);
  foreign.writeUInt16LE(2, 18);
  const otherLibc = Buffer.from(elf);
  otherLibc.write('/lib/ld-musl', otherLibc.indexOf('/lib64/ld-linux'));
  const cases: [string, Buffer | null, number][] = [
    ['missing', null, 0o755],
    ['script', Buffer.from('exit 0\n'), 0o755],
    ['foreign', foreign, 0o755],
    ['other-libc', otherLibc, 0o755],
    ['not-executable', elf, 0o644],
  ];
  const before = openDescriptors();
  for (const [name, content, mode] of cases) {
    const nativeProgram = join(directory, name);
    if (content !== null) writeFileSync(nativeProgram, content, { mode });
    {
      await using child = startEarlyChild({ nativeProgram });
      assert.equal(child.flavour, 'node', name);
      if (name === 'other-libc') {
        await child.handOver(request(['/bin/true']));
        assert.equal((await child.exited).code, 0);
      }
    }
    assert.throws(() => startEarlyChild({ nativeProgram, flavour: 'native' }), HandOverError, name);
  }
  assert.deepEqual(openDescriptors(), before);
});

test('lines of the program come as they are written, fit to be printed', async () => {
  const lines: string[] = [];
  await using child = startEarlyChild({ onLine: (line) => lines.push(line) });
  await child.handOver(request(['/usr/bin/printf', 'one\\n\\033[31mred\\ntail'], {}));
  await child.exited;
  assert.deepEqual(lines, ['one', '\\x1b[31mred', 'tail']);
  assert.deepEqual(child.stderrTail.last(2), ['\\x1b[31mred', 'tail']);
});

/** Waits until the child ignores SIGINT, which it does before it waits. */
async function ready(pid: number): Promise<void> {
  for (;;) {
    const ignored = /^SigIgn:\s+(\w+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? '0';
    if ((BigInt(`0x${ignored}`) & 3n) !== 0n && (BigInt(`0x${ignored}`) & (1n << 19n)) !== 0n) return;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
