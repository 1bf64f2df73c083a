// What the benches share: the small guest's machine, and how results are shown.
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

export const program = resolve('bin/vmspawn');
export const guest = process.env.VMSPAWN_GUEST_SMALL;
if (guest === undefined) throw new Error('VMSPAWN_GUEST_SMALL names no directory; run npm run bench');

/** Arguments for a machine of that name, as small as one can be. */
export function smallMachine(name) {
  return [
    '--quiet',
    `--machine=${name}`,
    `--linux=${join(guest, 'vmlinuz')}`,
    `--initrd=${join(guest, 'initrd')}`,
    '--firmware=none',
    '--ram=256M',
    '--tpm=no',
    '--kvm=no',
  ];
}

/** Seconds of the processor that a process has used (proc(5), stat: utime and stime, in hundredths). */
export function cpuOf(pid) {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

export function median(values) {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
}

/** Prints both medians and the ratios of values that were measured one right after the other. */
export function report(name, unit, ours, baseName, base, digits = 2) {
  const ratios = ours.map((value, index) => value / base[index]);
  console.log(
    `${name}: ${median(ours).toFixed(digits)} ${unit}; ${baseName}: ${median(base).toFixed(digits)} ${unit}; ` +
      `ratio ${median(ratios).toFixed(2)} (${Math.min(...ratios).toFixed(2)} to ${Math.max(...ratios).toFixed(2)}, n=${ratios.length})`,
  );
}
