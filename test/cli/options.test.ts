import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { suite, test } from 'node:test';
import { asset } from '../../src/assets.ts';
import { documentation } from '../../src/cli/documentation.ts';
import { groups } from '../../src/cli/options/option.ts';
import { options } from '../../src/cli/options.ts';
import { defaultSettings } from '../../src/settings/defaults.ts';
import { settingsSchema } from '../../src/settings/settings.ts';
import { cases } from './cases.ts';

const files = documentation({ 'vmspawn.1': readFileSync(asset('man', 'vmspawn.1.md'), 'utf8') }, '1.2.3');

/** What a file about a machine has no use for: how to show things, and what is decided before the file is found. */
const withoutKey = [
  'machine',
  'settings',
  'dry-run',
  'detach',
  'json',
  'system',
  'user',
  'keep-unit',
  'no-ask-password',
  'no-pager',
  'help',
  'version',
  'clean-up',
];

function camelCase(name: string): string {
  return name
    .split('-')
    .map((part) => part.charAt(0).toUpperCase() + part.slice(1))
    .join('');
}

for (const option of options) {
  suite(`--${option.name}`, () => {
    test('has a group and a version that it was added in', () => {
      assert.ok(groups.includes(option.group));
      assert.match(option.since, /^\d+\.\d+$/);
    });
    test('has one line of help without a full stop', () => {
      assert.match(option.help, /^\S.{6,50}\S$/);
      assert.doesNotMatch(option.help, /\.$/);
    });
    test('has man paragraphs that are sentences or examples of this program', () => {
      assert.ok(option.man.length > 0);
      assert.doesNotMatch(option.man[0] ?? '', /^ /);
      for (const paragraph of option.man) assert.match(paragraph, /^(( {4})vmspawn .*|[A-Z`_].*[.:])$/);
    });
    test('has a settings key that is its name, or none on purpose', () => {
      assert.equal(option.key, withoutKey.includes(option.name) ? null : camelCase(option.name));
    });
    test('has parser cases, a good one and a refused one', () => {
      const rows = cases[option.name] ?? [];
      assert.ok(rows.some((row) => 'settings' in row || 'action' in row));
      assert.ok(rows.some((row) => 'error' in row));
      for (const old of option.oldNames ?? []) {
        assert.ok(rows.some(({ words }) => words.some((word) => word.split('=')[0] === `--${old.name}`)));
      }
    });
    test(
      option.hidden
        ? 'is neither in the man page nor completed'
        : 'is in the man page and completed by all shells',
      () => {
        const ours = Object.entries(files).filter(([path]) => !path.includes('vmspawnctl'));
        for (const [path, text] of ours) {
          const pattern = path.startsWith('man/')
            ? `\\\\fB(?:\\\\-.\\\\fR, \\\\fB)?\\\\-\\\\-${option.name.replaceAll('-', '\\\\-')}(?:=|\\[=|\\\\fR)`
            : path.endsWith('.fish')
              ? ` -l ${option.name} `
              : `--${option.name}(?![a-z-])`;
          assert.equal(new RegExp(pattern).test(text), option.hidden !== true, path);
          for (const old of option.oldNames ?? [])
            assert.ok(!text.includes(old.name), `${path} shows ${old.name}`);
        }
      },
    );
  });
}

test('names, short forms, old names and keys are unique', () => {
  const spelled = options.flatMap(({ name, short, oldNames, key }) => [
    `--${name}`,
    ...(short === undefined ? [] : [`-${short}`]),
    ...(oldNames ?? []).map((old) => `--${old.name}`),
    ...(key === null ? [] : [`key ${key}`]),
  ]);
  assert.deepEqual(spelled, [...new Set(spelled)]);
});

test('every parser case is of an option that exists', () => {
  const names = options.map(({ name }) => name);
  for (const name of Object.keys(cases)) assert.ok(names.includes(name), name);
});

test('old spellings of the table are those that were promised', () => {
  const old = options.flatMap(({ name, oldNames }) =>
    (oldNames ?? []).map(
      (item) => `${item.name}: ${name}${item.value === undefined ? '' : `=${item.value}`}`,
    ),
  );
  assert.deepEqual(old.sort(), [
    'qemu-gui: console=gui',
    'qemu-kvm: kvm',
    'qemu-mem: ram',
    'qemu-smp: cpus',
    'qemu-vsock: vsock',
  ]);
});

test('the defaults without the schema are the defaults of the schema', () => {
  assert.deepEqual(defaultSettings(), settingsSchema.parse({}));
  assert.notEqual(defaultSettings().initrd, defaultSettings().initrd);
});
