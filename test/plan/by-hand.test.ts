import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { renderScript } from '../../src/plan/by-hand.ts';
import { planAsJson } from '../../src/plan/json.ts';
import { makePlan } from '../../src/plan/make-plan.ts';
import { temporaryDirectory } from '../guests.ts';
import { copiedTree, daemonC, debian12, forky, settings } from './hosts.ts';

const value = "it's $secret\n";
const base64 = Buffer.from(value).toString('base64');

test('a dry run shows no secret, and its script makes the same credentials from what it is given', () => {
  using directory = temporaryDirectory();
  const file = join(directory.path, "it's a file");
  writeFileSync(file, 'from a file');
  const plan = makePlan(
    settings({
      passSshKey: true,
      smbios11: ['a string'],
      credentials: [
        { name: 'set', source: { kind: 'secret', base64 }, fromFile: false },
        { name: 'load', source: { kind: 'load', path: file }, fromFile: false },
      ],
    }),
    {
      ...debian12,
      identity: { ...debian12.identity, runtimeBase: directory.path },
      loadedCredentials: [{ name: 'load', kind: 'file', path: file, size: 11 }],
    },
    'web',
  );
  const script = renderScript(plan);
  for (const text of [script, planAsJson(plan)]) {
    assert.ok(!text.includes(base64) && !text.includes('$secret') && !text.includes('a string'));
  }
  execFileSync('bash', ['-n'], { input: script });

  const lines = script.split('\n');
  const parts = lines.filter((line) =>
    /^(: "\$\{SECRET|\{ .*>.*memory-|exec \d+<.*memory-|rm .*memory-)/.test(line),
  );
  const numberOf = (what: string) => {
    const found = plan.descriptors.find(
      (descriptor) => descriptor.kind === 'memory' && descriptor.what === what,
    );
    assert.ok(found !== undefined, what);
    return found.target;
  };
  mkdirSync(plan.runtimeDirectory);
  const show = ['SMBIOS string 1', 'Credential set', 'Credential load'].map(
    (what) => `cat <&${numberOf(what)}; echo`,
  );
  const run = (environment: NodeJS.ProcessEnv) =>
    execFileSync('bash', ['-eu'], {
      input: [...parts, ...show].join('\n'),
      encoding: 'utf8',
      env: { ...process.env, ...environment },
      stdio: ['pipe', 'pipe', 'ignore'],
    });
  assert.throws(() => run({}), 'a value that is not given is asked for');
  const output = run({
    [`SECRET_${numberOf('SMBIOS string 1')}`]: 'a string',
    [`SECRET_${numberOf('Credential set')}`]: value,
  });
  assert.equal(
    output,
    [
      'a string',
      `io.systemd.credential.binary:set=${base64}`,
      `io.systemd.credential.binary:load=${Buffer.from('from a file').toString('base64')}`,
      '',
    ].join('\n'),
  );
  assert.deepEqual(readdirSync(plan.runtimeDirectory), []);
  // The SSH key is made by a run only.
  const key = numberOf('Credential ssh.authorized_keys.root');
  assert.ok(!script.includes(`/proc/self/fd/${key}\n`) && !script.includes(`/proc/self/fd/${key} `));
});

test('what the user names stays within the words and comments of the script', () => {
  using directory = temporaryDirectory();
  const path = join(directory.path, "it's\ntouch injected; $(touch injected)");
  const plan = makePlan(
    settings({
      directory: path,
      ephemeral: true,
      binds: [{ source: path, target: '/x', readOnly: true }],
      linux: '/boot/vmlinuz',
      credentials: [{ name: 'load', source: { kind: 'load', path }, fromFile: false }],
    }),
    {
      ...forky,
      tree: { ...copiedTree, path },
      binds: [{ path, identity: '1:2', uid: 0 }],
      sharing: { virtiofsd: daemonC, unshare: '/usr/bin/unshare', user: null },
      loadedCredentials: [{ name: 'load', kind: 'file', path, size: 1 }],
    },
    'web',
  );
  const script = renderScript(plan);
  execFileSync('bash', ['-n'], { input: script });
  // Quoted, a line feed is `\\n`: what begins a line is a command of the script's own.
  assert.doesNotMatch(script, /^touch/m);
  assert.match(script, /^# directory .*it's\\x0atouch/m);
  for (const { description } of plan.auxiliaries) assert.doesNotMatch(description, /\n/);
});
