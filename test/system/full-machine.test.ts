import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { checkFullMachine } from '../full-machine.ts';
import { Datagrams } from '../sys/datagrams.ts';
import { directBoot, leftovers, Run, scratch, until, vmspawn } from './harness.ts';

test('a machine with everything that it can have, seen from inside', { timeout: 600_000 }, async () => {
  using directory = scratch();
  using manager = new Datagrams(`@vmspawn-test-full-${process.pid}`);
  const lines: string[] = [];
  const words = (options: readonly string[]) => [
    ...directBoot('full-inside').filter((word) => word !== '--tpm=no'),
    '--manager=none',
    ...options,
  ];
  const environment = { CREDENTIALS_DIRECTORY: join(directory.path, 'own') };
  await checkFullMachine({
    directory: directory.path,
    ephemeral: false,
    elsewhere: '',
    node: process.execPath,
    port: 20_000 + 2 * (process.pid % 10_000),
    check: async ([command, ...rest]) => {
      const run = new Run(rest, {}, command);
      run.child.stdin.end();
      const end = await run.ended;
      assert.equal(end.code, 0, `${command} ${rest}: ${end.stderr}`);
      return end;
    },
    spawn: ([command, ...rest]) => new Run(rest, {}, command),
    plan: async (options) => {
      const end = await vmspawn(['--dry-run=json', ...words(options)], environment);
      assert.equal(end.code, 0, end.stderr);
      return JSON.parse(end.stdout);
    },
    start: (options) => {
      const run = new Run(words(options), { ...environment, NOTIFY_SOCKET: manager.address });
      let over = false;
      run.child.on('exit', () => {
        over = true;
      });
      const line = async (pattern: RegExp): Promise<string> => {
        let found: string | undefined;
        await until(() => {
          lines.push(...manager.texts().flatMap((text) => text.split('\n')));
          found = lines.find((text) => pattern.test(text));
          return found !== undefined || over;
        });
        assert.ok(found !== undefined, `${pattern} is not in ${lines.join('\n')}: ${run.stderr}`);
        return found;
      };
      return Object.assign(run, {
        report: async (topic: string) =>
          (await line(new RegExp(`^STATUS=Guest: ${topic} `))).slice('STATUS='.length),
        ready: async () => {
          await line(/^READY=1$/);
        },
        end: async () => {
          const { code, stderr } = await run.ended;
          return [code, stderr] as const;
        },
      });
    },
  });
  assert.deepEqual(leftovers('full-inside', directory.path), []);
});
