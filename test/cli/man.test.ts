import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { suite, test } from 'node:test';
import { execaSync } from 'execa';
import { asset } from '../../src/assets.ts';
import { manDefinitions } from '../../src/cli/documentation.ts';
import { journalFields, lifecycle } from '../../src/cli/lifecycle.ts';
import { renderMan } from '../../src/cli/man.ts';
import { sections } from '../../src/cli/options/option.ts';
import { options } from '../../src/cli/options.ts';
import { parseCommandLine } from '../../src/cli/parse.ts';
import { applySettingsFile } from '../../src/cli/settings-keys.ts';
import { defaultSettings } from '../../src/settings/defaults.ts';

const source = readFileSync(asset('man', 'vmspawn.1.md'), 'utf8');
const page = renderMan(source, options, '1.2.3');

/** The page as text by a real formatter; fails on any warning. */
function formatted(): string {
  const { stdout, stderr } = execaSync('groff', ['-ww', '-man', '-Tascii', '-P-c', '-rLL=100n'], {
    input: page,
  });
  assert.equal(stderr, '');
  return stdout.replace(/.\u0008/g, '');
}

suite('vmspawn(1)', () => {
  test('groff formats it without a warning, all sections in order', () => {
    const sections = [...formatted().matchAll(/^([A-Z][A-Z ]+)$/gm)].map(([, name]) => name);
    assert.deepEqual(sections, [
      'NAME',
      'SYNOPSIS',
      'DESCRIPTION',
      'OPTIONS',
      'KERNEL COMMAND LINE',
      'CREDENTIALS',
      'READINESS',
      'KEYS',
      'SIGNALS',
      'UNITS',
      'CONTROL SOCKET',
      'FILES',
      'ENVIRONMENT',
      'EXIT STATUS',
      'EXAMPLES',
      'SEE ALSO',
    ]);
  });

  test('mandoc finds nothing to say about it', () => {
    const { stdout } = execaSync('mandoc', ['-Tlint', '-Wstyle'], { input: page, reject: false });
    assert.equal(stdout, '');
  });

  test('every sentence of an option arrives, dashes as dashes', () => {
    const text = formatted().replace(/\s+/g, ' ');
    for (const option of options.filter(({ hidden }) => !hidden)) {
      for (const paragraph of option.man) {
        const plain = paragraph
          .replace(/(?<![A-Za-z0-9])_([^_`]+)_(?![A-Za-z0-9])/g, '$1')
          .replaceAll('`', '')
          .replace(/\s+/g, ' ')
          .trim();
        assert.ok(text.includes(plain), plain);
      }
    }
  });

  test('every example is a command line that the parser takes', () => {
    const examples = [
      ...source.matchAll(/^ {4}vmspawn (.*)$/gm),
      ...options.flatMap(({ man }) =>
        man.flatMap((paragraph) => [...paragraph.matchAll(/^ {4}vmspawn (.*)$/g)]),
      ),
    ];
    assert.ok(examples.length > 8);
    for (const [, words = ''] of examples) {
      assert.equal(parseCommandLine(words.split(' '), { cwd: '/' }).action, 'run', words);
    }
  });

  test('every option that the text names exists', () => {
    const named = [source, ...options.flatMap(({ man }) => man)].join('\n').matchAll(/--([a-z][a-z0-9-]*)/g);
    for (const [, name] of named)
      assert.ok(
        options.some((option) => option.name === name),
        name,
      );
  });
});

suite('vmspawn.settings(5)', () => {
  const settings = renderMan(
    readFileSync(asset('man', 'vmspawn.settings.5.md'), 'utf8'),
    options,
    '1.2.3',
    'vmspawn.settings.5',
  );

  test('groff and mandoc have nothing to say about it', () => {
    const groff = execaSync('groff', ['-ww', '-man', '-Tascii', '-P-c', '-rLL=100n'], { input: settings });
    assert.equal(groff.stderr, '');
    const { stdout } = execaSync('mandoc', ['-Tlint', '-Wstyle'], { input: settings, reject: false });
    assert.equal(stdout, '');
  });

  test('every key stands in its section', () => {
    for (const { key, group, hidden } of options) {
      if (key === null) continue;
      const section = `.SH "[${sections[group]?.toUpperCase()}] SECTION OPTIONS"`;
      const [, body = ''] = settings.split(section);
      const keys = body.split('\n.SH ')[0] ?? '';
      assert.equal(keys.includes(`\n\\fB${key}=\\fR`), hidden !== true, key);
    }
  });

  test('the example is a settings file', () => {
    const source = readFileSync(asset('man', 'vmspawn.settings.5.md'), 'utf8');
    const example = /# EXAMPLE\n[\s\S]*?(?=\n# )/.exec(source)?.[0] ?? '';
    const lines = [...example.matchAll(/^ {4}(.*)$/gm)].map(([, line]) => line);
    const content = Buffer.from(lines.join('\n'));
    const result = defaultSettings();
    assert.deepEqual(applySettingsFile({ path: '/f', content }, result, true), []);
    assert.equal(result.image, '/srv/images/web.qcow2');
  });
});

suite('markup', () => {
  const lines = (markup: string) => renderMan(`2026-01-01\n\n${markup}\n`, [], '1').split('\n').slice(3, -1);
  test('what roff would take as a request or an escape is text', () => {
    assert.deepEqual(lines('.SH no\n\n\'x \\fB -a `\\e` "q"'), [
      '.PP',
      '\\&.SH no',
      '.PP',
      '\\(aqx \\efB \\-a \\fB\\ee\\fR "q"',
    ]);
    assert.deepEqual(lines('    .if x\n    \\n'), ['.PP', '.RS 4', '.nf', '\\&.if x', '\\en', '.fi', '.RE']);
  });
  test('a line that breaks before a dot does not become a request', () => {
    assert.ok(lines(`${'x'.repeat(76)} .tail`).includes('\\&.tail'));
  });
  test('definitions, emphasis, and underscores inside words', () => {
    assert.deepEqual(lines('# A B\n\n`t` _X Y_\n: d SOME_NAME_X'), [
      '.SH "A B"',
      '.TP',
      '\\fBt\\fR \\fIX Y\\fR',
      'd SOME_NAME_X',
    ]);
  });
});

suite('vmspawn@.service(8)', () => {
  const name = 'vmspawn@.service.8';
  const service = renderMan(
    readFileSync(asset('man', `${name}.md`), 'utf8'),
    options,
    '1.2.3',
    name,
    manDefinitions,
  );

  test('groff and mandoc have nothing to say about it', () => {
    const { stdout, stderr } = execaSync('groff', ['-ww', '-man', '-Tascii', '-rLL=100n'], {
      input: service,
    });
    assert.equal(stderr, '');
    assert.match(stdout, /VMSPAWN@\.SERVICE\(8\)/);
    const lint = execaSync('mandoc', ['-Tlint', '-Wstyle'], { input: service, reject: false });
    assert.equal(lint.stdout, '');
  });

  test('it lists every event with its ID and every field, and shows the command of the unit', () => {
    for (const { id } of Object.values(lifecycle)) assert.ok(service.includes(id), id);
    for (const field of Object.keys(journalFields)) assert.ok(service.includes(`${field}=`), field);
    for (const kind of ['system', 'user']) {
      const unit = readFileSync(asset('units', kind, 'vmspawn@.service'), 'utf8');
      const [, words = ''] = /^ExecStart=@VMSPAWN@ (.*)$/m.exec(unit) ?? [];
      const shown = words.replace(`--${kind} `, '').replace('%i', 'NAME').replaceAll('-', '\\-');
      assert.ok(service.includes(`vmspawn ${shown}`), shown);
    }
  });
});
