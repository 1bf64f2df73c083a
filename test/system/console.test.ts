import assert from 'node:assert/strict';
import { test } from 'node:test';
import { asset } from '../../src/assets.ts';
import { directBoot, leftovers } from './harness.ts';
import { Tmux } from './terminals.ts';

const control = asset('bin', 'vmspawnctl');
const green = '48;2;12;51;19';

test('a session in a terminal: tint, title, full-screen programs, window size, keys, detach and attach', {
  timeout: 300_000,
}, async () => {
  await using tmux = await Tmux.start();
  const title = await tmux.run('display', '-p', '#{pane_title}');
  await tmux.launch([...directBoot('console'), `--background=${green}`, 'quiet']);
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
  await tmux.back(0);
  assert.equal(await tmux.run('display', '-p', '#{pane_title}'), title);
  await tmux.type('clear; echo shell-$((40+2))');
  await tmux.shows(/^shell-42$/m);
  assert.doesNotMatch(await tmux.screen({ colours: true }), new RegExp(green));

  await tmux.launch(['attach', `--background=${green}`, 'console'], control);
  await tmux.shows(/Attached to machine console\./);
  // The two keys before the letter have reached the guest's shell.
  await tmux.press('C-u');
  await tmux.type('echo attached-$(stty size | tr " " x)');
  await tmux.shows(/^attached-24x90$/m);
  await tmux.press('C-]', 'C-]', 'p');
  await tmux.back(0);
  assert.deepEqual(leftovers('console'), []);
});
