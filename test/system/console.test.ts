import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { asset } from '../../src/assets.ts';
import { directBoot, leftovers, program, scratch } from './harness.ts';
import { Tmux } from './tmux.ts';

const control = asset('bin', 'vmspawnctl');
const green = '48;2;12;51;19';

/** A command for the shell. */
function command(...words: string[]): string {
  return words.map((word) => `'${word}'`).join(' ');
}

test('a session in a terminal: tint, title, full-screen programs, window size, keys, detach and attach', {
  timeout: 300_000,
}, async () => {
  using directory = scratch();
  const modes = (name: string) => `${directory.path}/${name}`;
  await using tmux = await Tmux.start(directory.path, 100, 30);
  const title = await tmux.run('display', '-p', '#{pane_title}');
  await tmux.type(`stty -g >${modes('before')}`);
  const start = command(program, ...directBoot('console'), `--background=${green}`, 'quiet');
  await tmux.type(`clear; ${start}; stty -g >${modes('after')}; echo status=$?`);
  await tmux.shows(/vmspawn-small: ready/);
  assert.match(await tmux.run('display', '-p', '#{pane_title}'), /^Virtual machine console on /);
  await tmux.type('sh');
  await tmux.shows(/# ?$/m);

  await tmux.type('echo size-$(stty size | tr " " x)');
  await tmux.shows(/^size-30x100$/m);
  await tmux.resize(90, 24);
  // The guest's shell is told by its kernel; a program that runs gets SIGWINCH.
  await tmux.type('until [ "$(stty size)" = "24 90" ]; do sleep 0.1; done; echo resized-$((40+2))');
  await tmux.shows(/^resized-42$/m);

  // What the guest writes is tinted, and its own colours are its own.
  await tmux.type(String.raw`clear; printf 'plain \033[41mred\033[0m again\n'`);
  await tmux.shows(/^plain red again$/m);
  const [line = ''] = (await tmux.screen({ colours: true }))
    .split('\n')
    .filter((text) => /plain.*red.*again/.test(text));
  assert.match(line, new RegExp(`\\x1b\\[${green}mplain .*\\x1b\\[41m *red.*\\x1b\\[${green}m *again`));

  await tmux.type('vi /init');
  await tmux.shows(/^#!\/bin\/sh$/m);
  assert.equal(await tmux.run('display', '-p', '#{alternate_on}'), '1');
  await tmux.type(':q!');
  await tmux.shows(/^plain red again$/m);
  await tmux.type('top');
  await tmux.shows(/^Mem: .*\n.*CPU:/m);
  await tmux.press('q');
  await tmux.type('echo left-$((40+2))');
  await tmux.shows(/^left-42$/m);

  await tmux.press('C-]', 'C-]', 'd');
  await tmux.shows(/^status=0$/m);
  assert.equal(readFileSync(modes('after'), 'utf8'), readFileSync(modes('before'), 'utf8'));
  assert.equal(await tmux.run('display', '-p', '#{pane_title}'), title);
  await tmux.type('clear; echo shell-$((40+2))');
  await tmux.shows(/^shell-42$/m);
  assert.doesNotMatch(await tmux.screen({ colours: true }), new RegExp(green));

  const attach = command(control, 'attach', `--background=${green}`, 'console');
  await tmux.type(`clear; ${attach}; stty -g >${modes('attached')}; echo status=$?`);
  await tmux.shows(/Attached to machine console\./);
  // The two keys before the letter have reached the guest's shell.
  await tmux.press('C-u');
  await tmux.type('echo attached-$(stty size | tr " " x)');
  await tmux.shows(/^attached-24x90$/m);
  await tmux.press('C-]', 'C-]', 'p');
  await tmux.shows(/^status=0$/m);
  assert.equal(readFileSync(modes('attached'), 'utf8'), readFileSync(modes('before'), 'utf8'));
  assert.deepEqual(leftovers('console'), []);
});
