import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { suite, test } from 'node:test';
import { execaSync } from 'execa';
import fc from 'fast-check';
import { asset } from '../../src/assets.ts';
import { renderCtlHelp } from '../../src/cli/ctl/help.ts';
import { LogText } from '../../src/cli/ctl/log-text.ts';
import { commands, ctlOptions, defaultCtlSettings } from '../../src/cli/ctl/options.ts';
import { parseCtlCommandLine } from '../../src/cli/ctl/parse.ts';
import { manDefinitions } from '../../src/cli/documentation.ts';
import { renderMan } from '../../src/cli/man.ts';
import { UsageError } from '../../src/errors.ts';

suite('the command line of vmspawnctl', () => {
  const parse = (line: string) => parseCtlCommandLine(line.split(' ').filter(Boolean));

  test('a command, a name and options anywhere', () => {
    for (const line of [
      'attach -r web',
      '-r attach web',
      'attach web -r',
      'attach --read-only -- web',
      'attach --read web',
    ]) {
      const { command, machine, settings } = parse(line);
      assert.deepEqual(
        { command, machine, readOnly: settings.readOnly },
        { command: 'attach', machine: 'web', readOnly: true },
        line,
      );
    }
    const { command, machine, settings } = parse('-fq console-log --system --user');
    assert.deepEqual({ command, machine }, { command: 'console-log', machine: null });
    assert.deepEqual(settings, { ...defaultCtlSettings(), follow: true, whose: 'user', quiet: true });
  });

  const wrong = {
    '': /needs a command/,
    atach: /Unknown command atach, the nearest known one is attach\./,
    'attach a b': /takes the name of one machine, not 2/,
    'attach -f': /Option --follow is for vmspawnctl console-log only/,
    'console-log --steal': /Option --steal is for vmspawnctl attach only/,
    'attach -r --steal': /exclude each other/,
    'attach --sys=yes': /takes no argument/,
    'attach --stel': /Unknown option --stel, the nearest known one is --steal\. *$/,
    'attach -x': /Unknown option -x/,
    'attach --background=red': /--background=red is no background colour/,
    'attach --console-allow=all,sound': /is none of clipboard/,
    'console-log --background=44': /Option --background is for vmspawnctl attach only/,
  };
  for (const [line, message] of Object.entries(wrong)) {
    test(`wrong: ${line}`, () => {
      assert.throws(
        () => parse(line),
        (error) => error instanceof UsageError && message.test(error.message),
      );
    });
  }

  test('help and version are given whatever else is wrong', () => {
    assert.equal(parse('atach --help -x').settings.action, 'help');
    assert.equal(parse('--version --help').settings.action, 'version');
  });
});

test('help says everything and fits the screen', () => {
  for (const columns of [40, 80]) {
    const text = renderCtlHelp({ columns, bold: false });
    for (const line of text.split('\n')) assert.ok(line.length <= columns, line);
    const words = text.replace(/\s+/g, ' ');
    for (const { name, help } of commands) assert.ok(words.includes(`${name} [NAME] ${help}`), name);
    for (const { name, argument, help } of ctlOptions) {
      const value = argument === null ? '' : `=${argument.placeholder}`;
      assert.ok(words.includes(`--${name}${value} ${help}`), name);
    }
  }
});

test('vmspawnctl(1) has every command and option, and groff and mandoc have nothing to say about it', () => {
  const source = readFileSync(asset('man', 'vmspawnctl.1.md'), 'utf8');
  const page = renderMan(source, [], '1.2.3', 'vmspawnctl.1', manDefinitions);
  const groff = execaSync('groff', ['-ww', '-man', '-Tascii', '-P-c', '-rLL=100n'], { input: page });
  assert.equal(groff.stderr, '');
  const { stdout } = execaSync('mandoc', ['-Tlint', '-Wstyle'], { input: page, reject: false });
  assert.equal(stdout, '');
  const text = groff.stdout.replace(/.\u0008/g, '');
  for (const { name } of commands) assert.match(text, new RegExp(`^ +${name} \\[NAME\\]$`, 'm'));
  for (const { name } of ctlOptions) assert.match(text, new RegExp(`^ +(-., )?--${name}\\b`, 'm'));
  for (const [, words = ''] of source.matchAll(/^ {4}(?:.*\| )?vmspawnctl (.*?)(?: >.*)?$/gm)) {
    assert.equal(parseCtlCommandLine(words.split(' ')).settings.action, 'run', words);
  }
});

suite('a console as a text', () => {
  const shown = (chunks: readonly Buffer[], colour = false): string => {
    const text = new LogText({ colour });
    for (const chunk of chunks) text.write(chunk);
    text.end();
    return String(text.read() ?? '');
  };
  const cases: [string, string][] = [
    ['a\r\nb\n', 'a\r\nb\r\n'],
    ['a\r\r\nb', 'a\r\nb'],
    ['10%\r20%\r\n', '10%\r\n20%\r\n'],
    ['\x1b[2J\x1b[1;1Hlogin: ', 'login: '],
    ['\x1b[0;32mOK\x1b[m', 'OK'],
    ['\x1b]0;title\x07a\x1b]52;c;eA==\x1b\\b', 'ab'],
    ['\x1bPq#0\x1b\\\x1b(Bc\x1b=d', 'cd'],
    ['\x07\x08\x9b', '\\x07\\x08'],
    ['\x1b]8;;x\x18still here', 'still here'],
    ['\tßé', '\tßé'],
  ];
  for (const [bytes, text] of cases) {
    test(JSON.stringify(bytes), () => {
      assert.equal(
        shown([Buffer.from(bytes)]),
        text.replace('\\x08', bytes.includes('\x9b') ? '\\x08\\x9b' : '\\x08'),
      );
    });
  }

  test('colours are kept where they are allowed, and end with it', () => {
    assert.equal(shown([Buffer.from('\x1b[1;31mred\x1b[5A')], true), '\x1b[1;31mred\x1b[0m');
  });

  test('whatever a guest writes, wherever it is cut, nothing reaches the terminal but text', () => {
    const bytes = fc.array(fc.constantFrom(...'\x1b\x1b[]P\\;0m\r\n\x07\x9bxH'), { maxLength: 60 });
    fc.assert(
      fc.property(bytes, fc.nat(60), (characters, at) => {
        const all = Buffer.from(characters.join(''));
        const whole = shown([all]);
        assert.equal(shown([all.subarray(0, at), all.subarray(at)]), whole);
        assert.match(whole, /^(?:[\x20-\x7e]|\r\n)*$/);
      }),
    );
  });
});
