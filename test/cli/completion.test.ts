import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { execaSync } from 'execa';
import { asset } from '../../src/assets.ts';
import { documentation } from '../../src/cli/documentation.ts';
import { options } from '../../src/cli/options.ts';

const shown = options.filter(({ hidden }) => hidden !== true);
const longNames = shown.map(({ name }) => `--${name}`).sort();

let scratch = '';
let bash = '';
let zsh = '';
let fish = '';

before(() => {
  scratch = mkdtempSync(join(tmpdir(), 'vmspawn-completion-'));
  mkdirSync(join(scratch, 'files'));
  writeFileSync(join(scratch, 'files', 'disk.raw'), '');
  writeFileSync(join(scratch, 'files', 'a b.raw'), '');
  const files = documentation({ 'vmspawn.1': readFileSync(asset('man', 'vmspawn.1.md'), 'utf8') }, '1.2.3');
  const keep = (path: string, name: string) => {
    const text = files[path];
    assert.ok(text !== undefined, path);
    mkdirSync(join(scratch, path, '..'), { recursive: true });
    writeFileSync(join(scratch, path), text);
    return name === '' ? join(scratch, path) : join(scratch, path, name);
  };
  bash = keep('completions/bash/vmspawn', '');
  zsh = keep('completions/zsh/_vmspawn', '..');
  fish = keep('completions/fish/vmspawn.fish', '');
});

after(() => rmSync(scratch, { recursive: true }));

function lines(text: string): string[] {
  return text.split('\n').filter(Boolean).sort();
}

/** A real shell, in a directory with two files; anything on its standard error fails. */
function shell(file: string, words: readonly string[]): string {
  const { stdout, stderr } = execaSync(file, words, {
    cwd: join(scratch, 'files'),
    timeout: 60_000,
    // Shells write history and state below HOME.
    env: { PATH: process.env['PATH'], HOME: scratch, TERM: 'xterm', LC_ALL: 'C.UTF-8' },
    extendEnv: false,
  });
  assert.equal(stderr, '');
  return stdout;
}

suite('bash', () => {
  const complete = (...words: string[]) =>
    lines(shell('bash', ['--norc', asset('test', 'cli', 'complete.bash'), bash, 'vmspawn', ...words]));

  test('every option is offered', () => {
    assert.deepEqual(
      complete('--')
        .map((name) => name.replace('=', ''))
        .sort(),
      longNames,
    );
    assert.deepEqual(complete('--cons').toSorted(), [
      '--console-allow=',
      '--console-transport=',
      '--console=',
    ]);
    assert.ok(complete('-').includes('-i'));
  });
  test('words of every option, however the shell breaks the line', () => {
    for (const { name, argument } of shown) {
      if (argument === null || argument.words.length === 0) continue;
      const expected = [...argument.words, ...(argument.files ? ['disk.raw', 'a b.raw'] : [])].sort();
      assert.deepEqual(complete(`--${name}`, '=', ''), expected, name);
      assert.deepEqual(complete(`--${name}`, '='), expected, name);
      if (argument.optional === undefined) assert.deepEqual(complete(`--${name}`, ''), expected, name);
      const quoted = expected.map((word) => `--${name}=${word.replace(/[ ~,]/g, '\\$&')}`).sort();
      const whole = complete(`--${name}=`).map((word) => word.replace(/\\?([~,])/g, '\\$1'));
      assert.deepEqual(whole, quoted, name);
    }
  });
  test('files', () => {
    assert.deepEqual(complete('-i', ''), ['a b.raw', 'disk.raw']);
    assert.deepEqual(complete('--initrd', '=', 'd'), ['disk.raw']);
    assert.deepEqual(complete('--tpm-state', 'd'), ['disk.raw']);
  });
  test('the words before the cursor are understood', () => {
    assert.deepEqual(complete('-i', 'disk.raw', '--cp'), ['--cpus=']);
    assert.deepEqual(complete('--image', '=', 'disk.raw', '--cp'), ['--cpus=']);
    assert.deepEqual(complete('--image=disk.raw', '-q', '--cp'), ['--cpus=']);
    assert.deepEqual(complete('--machine', '--cp', '--cp'), ['--cpus=']);
    assert.deepEqual(complete('--dry-run', ''), []);
  });
  test('nothing after the options', () => {
    assert.deepEqual(complete('quiet', '--cp'), []);
    assert.deepEqual(complete('--', '--cp'), []);
    assert.deepEqual(complete('--image', '=', 'disk.raw', 'rw', '--cp'), []);
  });
});

suite('zsh', () => {
  const complete = (line: string) => {
    for (const file of ['ready', 'done', 'matches']) rmSync(join(scratch, file), { force: true });
    const words = ['-f', asset('test', 'cli', 'complete.zsh'), zsh, scratch, `vmspawn ${line}`];
    return lines(shell('zsh', words));
  };

  test('the file is right', () => {
    shell('zsh', ['-f', '-n', join(zsh, '_vmspawn')]);
  });
  test('every option is offered', () => {
    assert.deepEqual([...new Set(complete('--'))], longNames);
  });
  test('words', () => {
    assert.deepEqual(complete('--console-transport='), ['serial', 'virtio']);
    assert.deepEqual(complete('--console=r'), ['read-only', 'read-only,keep']);
    assert.deepEqual(complete('--console h'), ['headless']);
    assert.deepEqual(complete('--kvm='), ['auto', 'no', 'yes']);
    assert.deepEqual(complete('--dry-run='), ['json', 'text']);
  });
  test('files, alone and beside words', () => {
    assert.deepEqual(complete('-i '), ['a\\ b.raw', 'disk.raw']);
    assert.deepEqual(complete('--tpm-state='), ['a\\ b.raw', 'auto', 'disk.raw', 'no', 'yes']);
  });
  test('repeatable options come again, others do not', () => {
    assert.deepEqual(complete('--initrd=disk.raw --ini'), ['--initrd']);
    assert.deepEqual(complete('--quiet --qui'), []);
  });
  test('nothing after the options', () => {
    assert.deepEqual(complete('quiet --cp'), []);
    assert.deepEqual(complete('-i disk.raw rw -'), []);
  });
});

suite('fish', () => {
  const complete = (line: string) => {
    const script = `source ${fish}; complete -C 'vmspawn ${line}'`;
    return lines(shell('fish', ['--no-config', '-c', script])).map((match) => match.split('\t')[0] ?? '');
  };

  test('every option is offered, with its help', () => {
    assert.deepEqual(
      complete('--').filter((name) => name !== '--dry-run='),
      longNames,
    );
    const text = shell('fish', ['--no-config', '-c', `source ${fish}; complete -C 'vmspawn -'`]);
    for (const { help } of shown) assert.ok(text.includes(`\t${help}`), help);
  });
  test('words', () => {
    for (const { name, argument } of shown) {
      if (argument === null || argument.words.length === 0) continue;
      const expected = [...argument.words, ...(argument.files ? ['disk.raw', 'a b.raw'] : [])];
      assert.deepEqual(complete(`--${name}=`), expected.map((word) => `--${name}=${word}`).sort(), name);
    }
    assert.deepEqual(complete('--console h'), ['headless']);
  });
  test('files', () => {
    assert.deepEqual(complete('-i '), ['a b.raw', 'disk.raw']);
    assert.deepEqual(complete('-i disk.raw --cp'), ['--cpus']);
  });
  test('nothing after the options', () => {
    assert.deepEqual(complete('quiet --cp'), []);
    assert.deepEqual(complete('-i disk.raw rw '), []);
    assert.deepEqual(complete('-- --cp'), []);
    assert.deepEqual(complete('--dry-run '), []);
  });
});
