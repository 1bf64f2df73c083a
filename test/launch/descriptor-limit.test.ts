import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { asset } from '../../src/assets.ts';
import { describeError, FileError, HostError } from '../../src/errors.ts';
import {
  checkDescriptorLimit,
  explainedByLimit,
  leastDescriptors,
} from '../../src/launch/descriptor-limit.ts';

test('a limit that is too low is named with what to do; the program says it before Node', () => {
  checkDescriptorLimit(leastDescriptors);
  checkDescriptorLimit(Number.POSITIVE_INFINITY);
  assert.throws(() => checkDescriptorLimit(20), {
    code: 'HOST',
    message: 'The limit of open files is 20, which is too low for this machine',
    hint: `Raise it to ${leastDescriptors} or more: "ulimit -n" in the shell, LimitNOFILE= in a unit.`,
  });
  assert.ok(readFileSync(asset('bin', 'vmspawn'), 'utf8').includes(`-lt ${leastDescriptors} ]`));
});

test('an error for want of descriptors is the limit, wherever in the chain it is; others stay', () => {
  const cause = Object.assign(new Error('EMFILE: too many open files, open /x'), { code: 'EMFILE' });
  const explained = explainedByLimit(new FileError('/x cannot be opened', { cause }), 1024);
  assert.ok(explained instanceof HostError);
  assert.equal(
    describeError(explained),
    'The limit of open files is 1024, which is too low for this machine: /x cannot be opened: ' +
      'EMFILE: too many open files, open /x. Raise it to 2048 or more: "ulimit -n" in the shell, LimitNOFILE= in a unit.',
  );
  const other = new FileError('/x cannot be opened', { cause: new Error('ENOENT') });
  assert.equal(explainedByLimit(other, 1024), other);
});
