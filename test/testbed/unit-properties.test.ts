import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { unitPropertyNames } from '../../src/plan/unit-properties.ts';
import { assignments, typed } from '../plan/assignments.ts';
import { bootTestbed, testbeds } from './testbed.ts';

/** The first of the three managers that knows a setting; 252 knows the others. */
const since: { readonly [setting: string]: number } = {
  MemoryZSwapMax: 257,
  MemoryZSwapWriteback: 257,
  CoredumpReceive: 257,
  DelegateSubgroup: 257,
  NFTSet: 257,
  MemoryPressureWatch: 257,
  MemoryPressureThresholdSec: 257,
  WantsMountsFor: 257,
  ManagedOOMMemoryPressureDurationSec: 257,
  BindNetworkInterface: 262,
  OOMRules: 262,
  CPUPressureWatch: 262,
  CPUPressureThresholdSec: 262,
  IOPressureWatch: 262,
  IOPressureThresholdSec: 262,
};

/** Accepted by 262, and without a meaning there. */
const dropped =
  /^(CPUAccounting|(Startup)?CPUShares|BlockIO.*|StartupBlockIOWeight|MemoryLimit|DefaultMemory(Min|Low))$/;

/** Written by nobody but who makes the scope, so that it cannot be read back. */
const unreadable = /^(User|Group)$/;

/** Arguments of busctl(1) for a value of plain data. */
function busctlWords(signature: string, value: unknown): string[] {
  const words: string[] = [];
  /** Adds the value of the one type that begins at `at`; gives where the next one begins. */
  const add = (at: number, one: unknown): number => {
    const type = signature[at];
    if (type === 'a') {
      assert.ok(Array.isArray(one));
      words.push(String(one.length));
      for (const item of one) add(at + 1, item);
      return endOf(at + 1);
    }
    if (type === '(') {
      assert.ok(Array.isArray(one));
      let next = at + 1;
      for (const field of one) next = add(next, field);
      assert.equal(signature[next], ')');
      return next + 1;
    }
    words.push(String(one));
    return at + 1;
  };
  const endOf = (at: number): number => {
    if (signature[at] === 'a') return endOf(at + 1);
    if (signature[at] !== '(') return at + 1;
    let end = at + 1;
    while (signature[end] !== ')') end = endOf(end);
    return end + 1;
  };
  assert.equal(add(0, value), signature.length);
  return words;
}

/** Words of an answer; sets come in any order. */
function parts(answer: string): string[] {
  return answer.replaceAll('"', '').split(' ').sort();
}

function quoted(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}

/** Starts a scope with the property, as we do it and as systemd-run does it, and prints what the manager then has. */
function script(assignment: string, index: number): string {
  const [property] = typed(assignment);
  assert.ok(property !== undefined);
  const name = property.name.replace(/Scale$/, '');
  const words = [property.name, property.signature, ...busctlWords(property.signature, property.value)];
  return `
    start ours-${index}.scope ${words.map(quoted).join(' ')}
    answer ours ${index} show ours-${index}.scope ${name}
    systemctl stop ours-${index}.scope
    answer peer ${index} systemd-run --quiet --collect --scope --unit=peer-${index} --property=${quoted(assignment)} \\
      bash -c 'show "$@"' _ peer-${index}.scope ${name}`;
}

const functions = `
  bus=org.freedesktop.systemd1
  start() {
    local unit=$1 output
    shift
    sleep 100 & process=$!
    output=$(busctl call -- $bus /org/freedesktop/systemd1 $bus.Manager StartTransientUnit 'ssa(sv)a(sa(sv))' \\
      "$unit" fail 2 PIDs au 1 $process "$@" 0 2>&1) || refusal=$output
  }
  show() {
    local path interface
    path=/org/freedesktop/systemd1/unit/$(printf %s "$1" | sed 's/-/_2d/g; s/\\./_2e/g')
    for interface in Scope Unit; do
      busctl get-property org.freedesktop.systemd1 "$path" "org.freedesktop.systemd1.$interface" "$2" 2> /dev/null && return
    done
    echo nothing
  }
  export -f show
  answer() {
    local who=$1 index=$2 text
    shift 2
    if [ "$who" = ours ] && [ -n "$refusal" ]; then text="refused: $refusal"
    else text=$("$@" 2>&1) || text="refused: $text"; fi
    printf '%s %s %s\\n' "$who" "$index" "\${text//$'\\n'/ }"
    [ "$who" = peer ] || { kill $process 2> /dev/null; refusal=; }
  }
  refusal=
  systemctl() { command systemctl "$@" 2> /dev/null; }`;

test('every setting is tried', () => {
  const tried = new Set(assignments.map(([assignment]) => assignment.split('=')[0]));
  assert.deepEqual(
    unitPropertyNames.filter((name) => !tried.has(name)),
    [],
  );
});

for (const name of testbeds) {
  suite(name, async () => {
    const answers = new Map<string, string>();
    let version = 0;
    await test('scopes are started', { timeout: 300_000 }, async () => {
      await using testbed = await bootTestbed(name);
      version = testbed.systemd;
      const lines = assignments.map(([assignment], index) => script(assignment, index));
      const { stdout, stderr } = await testbed.run(['bash'], {
        input: [functions, ...lines].join('\n'),
        timeout: 280_000,
      });
      for (const line of stdout.split('\n')) {
        const [, key, text] = /^((?:ours|peer) \d+) (.*)$/.exec(line) ?? [];
        if (key !== undefined) answers.set(key, text ?? '');
      }
      assert.equal(answers.size, 2 * assignments.length, stderr);
    });

    for (const [index, [assignment]] of assignments.entries()) {
      test(assignment, () => {
        const ours = answers.get(`ours ${index}`) ?? '';
        const peer = answers.get(`peer ${index}`) ?? '';
        const setting = assignment.slice(0, assignment.indexOf('='));
        const [property] = typed(assignment);
        assert.ok(property !== undefined);
        if (version < (since[setting] ?? 0)) {
          assert.match(ours, /^refused: .*Cannot set property/);
          return;
        }
        if (unreadable.test(setting) || (version >= 262 && dropped.test(setting))) {
          assert.doesNotMatch(ours, /^refused/);
          return;
        }
        // systemd-run refuses or drops a few things that the manager takes.
        if (!/^(refused:|nothing)/.test(peer)) assert.deepEqual(parts(ours), parts(peer));
        else {
          const words = busctlWords(property.signature, property.value);
          assert.deepEqual(parts(ours), parts([property.signature, ...words].join(' ')));
        }
        if (!property.name.endsWith('Scale')) assert.ok(ours.startsWith(`${property.signature} `), ours);
      });
    }

    test('systemd-run was there to compare with', () => {
      const compared = [...answers].filter(
        ([key, text]) => key.startsWith('peer') && !text.startsWith('refused'),
      );
      assert.ok(compared.length > 100, `${compared.length}`);
    });
  });
}
