import type { TestbedProcess } from './process.ts';
import type { CommandOptions, Testbed } from './testbed.ts';

/** The command for a machine of the small guest, booted directly; QEMU runs a second after its start. */
export function machineCommand(testbed: Testbed, name: string, ...more: readonly string[]): string[] {
  const { kernel, initrd } = testbed.guest.small;
  const guest = [`--linux=${kernel}`, `--initrd=${initrd}`, '--firmware=none', '--ram=256M', '--kvm=no'];
  return [testbed.program, `--machine=${name}`, ...guest, '--tpm=no', '--console=read-only', ...more];
}

/** Starts such a machine; QEMU runs when this resolves. Throws when it ends before. */
export async function startMachine(
  testbed: Testbed,
  name: string,
  more: readonly string[] = [],
  options: CommandOptions = {},
): Promise<TestbedProcess> {
  const machine = testbed.spawn(machineCommand(testbed, name, ...more), options);
  await told(machine, /Starting machine/);
  return machine;
}

/** Waits until standard error matches; throws when the command ends before. */
export async function told(machine: TestbedProcess, words: RegExp): Promise<void> {
  let over = false;
  void machine.ended.then(() => {
    over = true;
  });
  await eventually(() => {
    if (words.test(machine.stderr)) return [];
    if (over) throw new Error(`It ended without ${words}: ${machine.stderr}`);
    return [`no ${words} in: ${machine.stderr}`];
  });
}

/** What a machine of root must not leave behind, one line each. */
export async function remnants(testbed: Testbed): Promise<string[]> {
  const script = `
    systemctl list-units --all --plain --no-legend 'machine-*.scope' 'machine-*.service' 'machine-*.socket'
    systemctl list-units --failed --plain --no-legend
    ls /run/vmspawn 2> /dev/null
    pgrep -a -f '[q]emu-system|[s]wtpm|[v]mspawn-child|[v]mspawn .*--[m]achine='
    machinectl list --no-legend
    exit 0`;
  const { stdout } = await testbed.check(['sh', '-c', script]);
  return stdout.split('\n').filter((line) => line !== '');
}

/** Waits until `remaining` is empty, and fails with what remains when that takes longer than 30 s. */
export async function eventually(
  remaining: () => readonly string[] | Promise<readonly string[]>,
): Promise<void> {
  const end = Date.now() + 30_000;
  for (;;) {
    const lines = await remaining();
    if (lines.length === 0) return;
    if (Date.now() > end) throw new Error(`Still so after 30 s:\n${lines.join('\n')}`);
    await new Promise((resolve) => setTimeout(resolve, 30));
  }
}

/** Waits until nothing is left of any machine of root. */
export function nothingLeft(testbed: Testbed): Promise<void> {
  return eventually(() => remnants(testbed));
}
