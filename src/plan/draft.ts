import type {
  BlockNode,
  Chardev,
  Device,
  FdSet,
  Netdev,
  Properties,
  QemuConfiguration,
  QemuObject,
} from '../qemu/configuration.ts';
import type { GuestMount } from './guest-mounts.ts';
import type { CredentialSource, Notice, PlannedCredential, PlannedDescriptor } from './plan.ts';

type DistributiveOmit<T, K extends PropertyKey> = T extends unknown ? Omit<T, K> : never;
type NewDescriptor = DistributiveOmit<PlannedDescriptor, 'target'>;

/** The first descriptor number after standard input, output and error. */
const firstDescriptor = 3;

/**
 * A plan while it is made: each part of plan/ adds its devices, descriptors and notices here. Lives only within one
 * call of makePlan; what comes out is frozen data.
 */
export class Draft {
  readonly notices: Notice[] = [];
  readonly descriptors: PlannedDescriptor[] = [];
  readonly fdSets: FdSet[] = [];
  readonly objects: QemuObject[] = [];
  readonly chardevs: Chardev[] = [];
  readonly serials: string[] = [];
  readonly monitors: QemuConfiguration['monitors'][number][] = [];
  readonly tpmdevs: QemuConfiguration['tpmdevs'][number][] = [];
  readonly blockNodes: BlockNode[] = [];
  readonly netdevs: Netdev[] = [];
  readonly devices: Device[] = [];
  readonly globals: QemuConfiguration['globals'][number][] = [];
  readonly smbios11: string[] = [];
  readonly credentials: PlannedCredential[] = [];
  readonly guestMounts: GuestMount[] = [];
  readonly machineProperties: { [name: string]: Properties[string] } = {};
  #nextDescriptor = firstDescriptor;

  notice(text: string): void {
    this.notices.push({ level: 'notice', text });
  }

  warning(text: string): void {
    this.notices.push({ level: 'warning', text });
  }

  /** For the guest's systemd. How it travels is decided at the end (plan/credentials.ts). */
  credential(credential: PlannedCredential): void {
    this.credentials.push(credential);
  }

  /** Whether there is one of this name: the first one counts, and the user's come before ours. */
  hasCredential(name: string): boolean {
    return this.credentials.some((credential) => credential.name === name);
  }

  /** Lines for a credential that the user may have given, too: then they come behind the user's. */
  addToCredential(name: string, source: CredentialSource): void {
    const index = this.credentials.findIndex((credential) => credential.name === name);
    const users = this.credentials[index];
    if (users === undefined) this.credential({ name, source });
    else {
      // The user's last line may have no end.
      const parts = [users.source, { kind: 'text', text: '\n' }, source] as const;
      this.credentials[index] = { name, source: { kind: 'joined', parts } };
    }
  }

  /** Gives `descriptor` the next free number in QEMU. */
  descriptor(descriptor: NewDescriptor): number {
    const target = this.#nextDescriptor++;
    this.descriptors.push({ ...descriptor, target });
    return target;
  }

  /** Gives `descriptor` a number that is fixed by convention (standard input, output). */
  descriptorAt(target: number, descriptor: NewDescriptor): void {
    this.descriptors.push({ ...descriptor, target });
  }

  /**
   * A file for a block node: passed as a descriptor and named /dev/fdset/SET, which QEMU opens again as often as it
   * likes without ever touching a path.
   */
  fdSet(descriptor: NewDescriptor, opaque: string): string {
    const fd = this.descriptor(descriptor);
    const set = this.fdSets.length + 1;
    this.fdSets.push({ set, fd, opaque });
    return `/dev/fdset/${set}`;
  }

  /** For what QEMU opens with plain open(2), such as kernels: the inherited descriptor by its /proc name. */
  procPath(descriptor: NewDescriptor): string {
    return `/proc/self/fd/${this.descriptor(descriptor)}`;
  }
}
