import assert from 'node:assert/strict';
import { test } from 'node:test';
import { controlGroup, systemdGroup } from '../../src/host/control-group.ts';

test('the unified hierarchy counts, wherever its line is; without it that of systemd', () => {
  const unified = '0::/system.slice/a:b.service\n';
  assert.equal(systemdGroup(unified), '/system.slice/a:b.service');
  assert.equal(systemdGroup(`9:name=systemd:/\n8:pids:/x\n${unified}`), '/system.slice/a:b.service');
  assert.equal(systemdGroup('4:cpu,cpuacct:/\n1:name=systemd:/user.slice/b.scope\n'), '/user.slice/b.scope');
  assert.equal(systemdGroup('4:cpu,cpuacct:/\n'), null);
});

test('a process that is gone has none', () => {
  assert.equal(controlGroup(2 ** 22 + 1), null);
  assert.match(controlGroup('self') ?? '', /^\//);
});
