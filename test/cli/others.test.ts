import assert from 'node:assert/strict';
import { test } from 'node:test';
import { options } from '../../src/cli/options.ts';
import { systemdOptions } from '../../src/cli/others.ts';
import { parseCommandLine } from '../../src/cli/parse.ts';

test('options of systemd-vmspawn that are not here are told from typing errors, by their short forms too', () => {
  for (const [name, short] of systemdOptions) {
    const words = [`--${name}=x`, ...(short === null ? [] : [`-${short}`])];
    for (const word of words) {
      assert.throws(() => parseCommandLine([word], { cwd: '/' }), new RegExp(`--${name}.* is not supported`));
    }
  }
});

test('no option is on both lists', () => {
  assert.deepEqual(
    options.filter(({ name }) => systemdOptions.has(name)).map(({ name }) => name),
    [],
  );
});
