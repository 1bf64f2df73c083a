import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LockError } from '../../src/errors.ts';
import { MachineLocks } from '../../src/launch/locks.ts';
import { imageLock, machineLock } from '../../src/plan/locks.ts';
import { temporaryDirectory } from '../guests.ts';

test('a name and an image belong to one machine; the holder is named; disposal gives them back', async () => {
  using scratch = temporaryDirectory();
  {
    await using first = MachineLocks.open(scratch.path, 'first');
    first.take(machineLock('first'));
    first.take(imageLock('/a.raw', '1:2', 'exclusive'));
    // Taking what is held already is no conflict with oneself.
    first.take(imageLock('/link-to-a.raw', '1:2', 'exclusive'));
    await using again = MachineLocks.open(scratch.path, 'first');
    assert.throws(
      () => again.take(machineLock('first')),
      new RegExp(`first is running already, by PID ${process.pid}`),
    );
    await using second = MachineLocks.open(scratch.path, 'second');
    assert.throws(
      () => second.take(imageLock('/b.raw', '1:2', 'exclusive')),
      (error: unknown) => {
        assert.ok(error instanceof LockError);
        assert.match(error.message, /image \/b\.raw is in use by the machine first \(PID \d+\)/);
        return true;
      },
    );
  }
  await using later = MachineLocks.open(scratch.path, 'second');
  later.take(imageLock('/b.raw', '1:2', 'exclusive'));
});

test('a backing file is shared by machines that read it, and kept from one that writes it', async () => {
  using scratch = temporaryDirectory();
  await using first = MachineLocks.open(scratch.path, 'first');
  await using second = MachineLocks.open(scratch.path, 'second');
  await using writer = MachineLocks.open(scratch.path, 'writer');
  first.take(imageLock('/base.raw', '1:3', 'shared'));
  second.take(imageLock('/base.raw', '1:3', 'shared'));
  assert.throws(() => writer.take(imageLock('/base.raw', '1:3', 'exclusive')), LockError);
});
