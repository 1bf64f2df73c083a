import assert from 'node:assert/strict';
import { readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { FileError, ImageError } from '../../src/errors.ts';
import { openDescriptors } from '../../src/launch/descriptors.ts';
import { Taps } from '../../src/launch/taps.ts';
import type { PlannedDescriptor } from '../../src/plan/plan.ts';
import { temporaryDirectory, write } from '../temporary.ts';

const directory = temporaryDirectory();
const noTaps = new Taps([]);

test('what a tree boots is never a link by the time that it is opened', async () => {
  const tree = join(directory, 'tree');
  const outside = join(directory, 'outside');
  write(outside, 'secret');
  write(join(tree, 'kernel'), 'kernel');
  write(join(tree, 'initrd'), 'abcde');
  symlinkSync(outside, join(tree, 'link'));
  const file = (name: string): PlannedDescriptor => ({
    target: 3,
    kind: 'file',
    path: join(tree, name),
    access: 'read',
    identity: null,
    beneath: tree,
  });
  const together = (...names: string[]): PlannedDescriptor => ({
    target: 4,
    kind: 'concatenation',
    paths: names.map((name) => join(tree, name)),
    beneath: tree,
  });
  {
    await using opened = openDescriptors([file('kernel'), together('initrd', 'kernel')], new Map(), noTaps);
    const contents = opened.passed.map(({ fd }) => readFileSync(`/proc/self/fd/${fd}`, 'latin1'));
    assert.deepEqual(contents, ['kernel', 'abcde\0\0\0kernel\0\0']);
  }
  for (const planned of [file('link'), together('initrd', 'link')]) {
    assert.throws(
      () => openDescriptors([planned], new Map(), noTaps),
      (error) => error instanceof ImageError && /link was replaced by a link/.test(error.message),
    );
  }
  assert.throws(() => openDescriptors([file('none')], new Map(), noTaps), FileError);
});
