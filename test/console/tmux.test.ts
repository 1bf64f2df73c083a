import assert from 'node:assert/strict';
import { test } from 'node:test';
import { execa } from 'execa';
import { asset } from '../../src/assets.ts';
import { fixture, Scratch, until } from './session.ts';

for (const way of ['keys', 'SIGKILL'] as const) {
  test(`in a real terminal emulator: the guest in the middle of an editor leaves a usable shell behind (${way})`, async () => {
    using scratch = new Scratch();
    const tmux = async (...words: string[]) =>
      (
        await execa('tmux', ['-S', scratch.path('tmux'), '-f', '/dev/null', ...words], {
          env: scratch.environment,
        })
      ).stdout;
    await tmux('new-session', '-d', '-x', '80', '-y', '24', '/bin/sh');
    try {
      const screen = async (text: string) => {
        for (let turn = 0; turn < 1000; turn += 1) {
          if ((await tmux('capture-pane', '-p')).includes(text)) return;
          await new Promise((resolve) => setTimeout(resolve, 20));
        }
        throw new Error(`Waited in vain for ${text}`);
      };
      const flags = ['alternate_on', 'cursor_flag', 'mouse_any_flag', 'keypad_cursor_flag', 'keypad_flag'];
      const region = ['insert_flag', 'scroll_region_upper', 'scroll_region_lower'];
      const state = () => tmux('display', '-p', [...flags, ...region].map((name) => `#{${name}}`).join(' '));
      const run = `'${asset('dist', 'vmspawn-front')}' '${process.execPath}' '${fixture}' interactive full-screen`;
      await tmux('send-keys', 'PS1=; echo be""fore', 'Enter');
      await screen('before');
      await tmux(
        'send-keys',
        `stty -g >${scratch.path('before')}; ${run}; stty -g >${scratch.path('after')}`,
        'Enter',
      );
      await screen('EDITOR');
      assert.equal(await state(), '1 0 1 1 1 1 1 4');
      if (way === 'keys') await tmux('send-keys', 'C-]', 'C-]', 'C-]');
      else process.kill(Number((await scratch.line('started'))['started']), way);
      await until(() => scratch.text('after').includes('\n'), 'the shell');
      assert.equal(await state(), '0 1 0 0 0 0 0 23');
      assert.equal(scratch.text('after'), scratch.text('before'));
      await screen('before');
      assert.equal((await tmux('capture-pane', '-p')).includes('EDITOR'), false);
      await tmux('send-keys', 'echo "af""ter"', 'Enter');
      await screen('after');
    } finally {
      await tmux('kill-server');
    }
  });
}
