import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { execa } from 'execa';
import { asset } from '../../src/assets.ts';
import { ctlBashCompletion, ctlFishCompletion, ctlZshCompletion } from '../../src/cli/ctl/completion.ts';
import { commands } from '../../src/cli/ctl/options.ts';

const scratch = mkdtempSync(join(tmpdir(), 'vmspawn-ctl-'));
const machine = join(scratch, 'vmspawn', 'completed-web');
let server: Server;

before(async () => {
  mkdirSync(machine, { recursive: true });
  mkdirSync(join(scratch, 'vmspawn', 'no-socket'));
  mkdirSync(join(scratch, 'files'));
  writeFileSync(join(scratch, 'bash'), ctlBashCompletion());
  writeFileSync(join(scratch, '_vmspawnctl'), ctlZshCompletion());
  writeFileSync(join(scratch, 'fish'), ctlFishCompletion());
  server = createServer();
  await new Promise<void>((resolve) => server.listen(join(machine, 'control'), resolve));
});

after(() => {
  server.close();
  rmSync(scratch, { recursive: true });
});

/** A real shell; machines that run on this host meanwhile are not ours. */
async function shell(file: string, words: readonly string[]): Promise<string[]> {
  const { stdout, stderr } = await execa(file, words, {
    cwd: scratch,
    timeout: 60_000,
    env: {
      ...{ PATH: process.env['PATH'], HOME: scratch, TERM: 'xterm', LC_ALL: 'C.UTF-8' },
      XDG_RUNTIME_DIR: scratch,
    },
    extendEnv: false,
  });
  assert.equal(stderr, '');
  return stdout.split('\n').filter(Boolean).sort();
}

const bash = (line: string) => {
  const script = `source ./bash; COMP_WORDS=(${line.replace(/ $/, " ''")}); COMP_CWORD=$((\${#COMP_WORDS[@]} - 1)); _vmspawnctl; printf '%s\\n' "\${COMPREPLY[@]}"`;
  return shell('bash', ['--norc', '-c', script]);
};
const zsh = async (line: string) => {
  for (const file of ['ready', 'done', 'matches']) rmSync(join(scratch, file), { force: true });
  return [
    ...new Set(await shell('zsh', ['-f', asset('test', 'cli', 'complete.zsh'), scratch, scratch, line])),
  ];
};
const fish = async (line: string) =>
  (await shell('fish', ['--no-config', '-c', `source ./fish; complete -C '${line}'`])).map(
    (match) => match.split('\t')[0] ?? '',
  );

for (const [name, complete] of Object.entries({ bash, zsh, fish })) {
  test(`${name} completes commands, machines that have a control socket, and options`, async () => {
    assert.deepEqual(await complete('vmspawnctl '), commands.map((command) => command.name).sort());
    const machines = await complete('vmspawnctl attach -r ');
    assert.ok(machines.includes('completed-web') && !machines.includes('no-socket'), machines.join());
    assert.deepEqual(await complete('vmspawnctl attach completed-web '), []);
    assert.deepEqual(await complete('vmspawnctl attach --ste'), ['--steal']);
    assert.deepEqual(await complete('vmspawnctl --ver'), ['--version']);
  });
}
