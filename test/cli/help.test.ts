import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { asset } from '../../src/assets.ts';
import { renderHelp } from '../../src/cli/help.ts';
import { groups } from '../../src/cli/options/option.ts';
import { options } from '../../src/cli/options.ts';
import { versionText } from '../../src/cli/version.ts';

for (const columns of [40, 60, 72, 80, 120, 400]) {
  test(`help fits ${columns} columns and says everything`, () => {
    const text = renderHelp({ columns, bold: false });
    for (const line of text.split('\n')) {
      assert.ok(line.length <= columns, line);
      assert.equal(line, line.trimEnd());
    }
    for (const group of groups) assert.ok(text.includes(`\n${group}:\n`));
    const words = text.replace(/\s+/g, ' ');
    for (const option of options) {
      assert.equal(new RegExp(`--${option.name}[=[ ]`).test(words), option.hidden !== true, option.name);
      if (!option.hidden) assert.ok(words.includes(option.help), option.help);
    }
    assert.doesNotMatch(text, /qemu-(mem|smp|kvm|vsock|gui)/);
  });
}

test('help is plain unless bold is asked for, and the same but for that', () => {
  const plain = renderHelp({ columns: 80, bold: false });
  const bold = renderHelp({ columns: 80, bold: true });
  assert.ok(!plain.includes('\u001b'));
  assert.equal(bold.replace(/\u001b\[[01]m/g, ''), plain);
  assert.notEqual(bold, plain);
});

test('help on the usual screen has each option in few lines', () => {
  const text = renderHelp({ columns: 80, bold: false });
  assert.match(text, /^ {2}-i --image=PATH +Boot this disk image or block device$/m);
  assert.match(text, /^ {5}--dry-run\[=FORMAT\] +Show/m);
  assert.match(text, /^ {5}--ram=SIZE\[:MAX\[:SLOTS\]\] +Memory/m);
});

test('the version is that of the package, with features in a second line', () => {
  const manifest: unknown = JSON.parse(readFileSync(asset('package.json'), 'utf8'));
  assert.ok(typeof manifest === 'object' && manifest !== null && 'version' in manifest);
  const [first, second, ...rest] = versionText().split('\n');
  assert.equal(first, `vmspawn ${manifest.version}`);
  assert.match(second ?? '', /^[+-][A-Z0-9]+( [+-][A-Z0-9]+)*$/);
  assert.deepEqual(rest, ['']);
});
