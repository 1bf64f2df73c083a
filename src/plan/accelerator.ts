import { HostError } from '../errors.ts';
import type { HostFacts, QemuFacts } from '../host/facts.ts';
import type { Properties } from '../qemu/configuration.ts';
import type { Settings } from '../settings/settings.ts';
import type { Draft } from './draft.ts';

export interface Accelerator {
  readonly name: 'kvm' | 'tcg';
  readonly properties: Properties;
  readonly cpu: string;
}

/** What Linux and Windows guests gain from under KVM; TCG has none of it. */
const hyperVEnlightenments = 'hv-relaxed=on,hv-vapic=on,hv-time=on';

/**
 * KVM where it is usable, TCG otherwise with one warning that says why. The CPU model follows: `host` under KVM (`max`
 * made QEMU abort on nested hosts), `max` under TCG, as far as that works.
 */
export function planAccelerator(
  settings: Settings,
  facts: HostFacts,
  qemu: QemuFacts,
  draft: Draft,
): Accelerator {
  const reason = kvmObstacle(facts, qemu);
  if (settings.kvm === true && reason !== null) {
    throw new HostError(`--kvm=yes cannot be met: ${reason}`, {
      hint: 'Use --kvm=auto or --kvm=no to emulate the processor instead.',
    });
  }
  if (settings.kvm !== false && reason === null) {
    const x86 = facts.architecture === 'x86_64';
    return {
      name: 'kvm',
      properties: passedDevice(facts, qemu, draft),
      cpu: x86 ? `host,${hyperVEnlightenments}` : 'host',
    };
  }
  if (settings.kvm === 'auto') {
    draft.warning(
      `KVM is not usable: ${reason}. The processor is emulated, which is about ten times slower.`,
    );
  }
  return { name: 'tcg', properties: {}, cpu: emulatedProcessor(facts, qemu) };
}

/**
 * `max`: everything that TCG can emulate. With QEMU 7.2, cmpxchg16b now and then leaves garbage in the guest's flags when an
 * interrupt comes at the wrong moment: of twelve boots of Linux 6.12, whose allocator uses it all the time, five ended in a
 * double fault, of fifty without this instruction none. QEMU 8.0 translates it in another way, by its history; 8.0 to 11
 * have not been tried for this.
 */
function emulatedProcessor(facts: HostFacts, qemu: QemuFacts): string {
  return facts.architecture === 'x86_64' && qemu.version[0] < 8 ? 'max,cx16=off' : 'max';
}

function kvmObstacle(facts: HostFacts, qemu: QemuFacts): string | null {
  if (!facts.kvm.usable) return facts.kvm.reason;
  if (!qemu.accelerators.includes('kvm')) return `${qemu.binary} was built without KVM`;
  if (facts.kvm.passed?.opens === false && !takesDevice(qemu)) {
    return `QEMU ${qemu.version.join('.')} cannot use the descriptor of ${facts.kvm.device} that was passed (8.2 and newer can), and there is no permission to open it`;
  }
  return null;
}

/** The KVM device by the descriptor that was passed to us, where there is one. */
function passedDevice(facts: HostFacts, qemu: QemuFacts, draft: Draft): Properties {
  const passed = facts.kvm.usable ? facts.kvm.passed : undefined;
  if (passed === undefined) return {};
  if (takesDevice(qemu)) return { device: draft.fdSet({ kind: 'inherit', source: passed.fd }, 'kvm') };
  draft.notice(
    `QEMU ${qemu.version.join('.')} cannot use the descriptor of KVM that was passed (8.2 and newer can) and opens the device itself.`,
  );
  return {};
}

/** `-accel kvm,device=` (qemu(1)), which knows /dev/fdset/N. */
function takesDevice({ version: [major, minor] }: QemuFacts): boolean {
  return major > 8 || (major === 8 && minor >= 2);
}
