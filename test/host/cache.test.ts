import assert from 'node:assert/strict';
import { readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { FileFactCache } from '../../src/host/cache.ts';
import { temporaryDirectory } from '../guests.ts';

test('facts are kept over runs, in a file for us alone', () => {
  using scratch = temporaryDirectory();
  const first = new FileFactCache(scratch.path);
  first.set('key', { value: 1 });
  first.save();
  assert.deepEqual(new FileFactCache(scratch.path).get('key'), { value: 1 });
  assert.equal(statSync(join(scratch.path, 'facts.json')).mode & 0o777, 0o600);
});

test('a file that is no cache is an empty one', () => {
  for (const text of ['', '{', '{"a":1}', '[1,[2,3],["key"]]', 'null', '\0\xff']) {
    using scratch = temporaryDirectory();
    writeFileSync(join(scratch.path, 'facts.json'), text);
    assert.equal(new FileFactCache(scratch.path).get('key'), undefined, text);
  }
});

test('a link in the place of the temporary file is not followed', () => {
  using scratch = temporaryDirectory();
  const victim = join(scratch.path, 'victim');
  writeFileSync(victim, 'untouched');
  symlinkSync(victim, join(scratch.path, `facts.json.${process.pid}`));
  const cache = new FileFactCache(scratch.path);
  cache.set('key', 1);
  cache.save();
  assert.equal(readFileSync(victim, 'utf8'), 'untouched');
});

test('the oldest facts go when there are too many', () => {
  using scratch = temporaryDirectory();
  const cache = new FileFactCache(scratch.path);
  for (let index = 0; index < 1000; index++) cache.set(`key-${index}`, index);
  assert.equal(cache.get('key-0'), undefined);
  assert.equal(cache.get('key-999'), 999);
});
