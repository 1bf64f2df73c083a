import type { Bus } from './bus.ts';
import { escapeLabel } from './object-path.ts';
import { asNumber, asString } from './reply.ts';
import type { Patience } from './within.ts';

const destination = 'org.freedesktop.machine1';
const path = '/org/freedesktop/machine1';

/** What systemd-machined is told of a machine. */
export interface MachineRegistration {
  readonly name: string;
  /** 16 bytes. */
  readonly id: Buffer;
  /** Who made it, for those who look at it: `vmspawn`. */
  readonly service: string;
  readonly class: 'vm';
  /** The process whose unit becomes the machine's unit. */
  readonly leader: number;
  /** Empty for a virtual machine. */
  readonly rootDirectory: string;
  /** Indexes of the network interfaces on the host that lead to the machine. */
  readonly interfaces: readonly number[];
}

/** systemd-machined (org.freedesktop.machine1(5)). The bus stays the caller's. Throws what Bus.call throws. */
export class MachineManager {
  readonly #bus: Bus;

  constructor(bus: Bus) {
    this.#bus = bus;
  }

  /** Registers a machine that has a unit already. BusError MachineExists when the name is taken. */
  async register(fields: MachineRegistration, patience: Patience = {}): Promise<void> {
    const body = [
      fields.name,
      fields.id,
      fields.service,
      fields.class,
      fields.leader,
      fields.rootDirectory,
      fields.interfaces,
    ];
    await this.#call('RegisterMachineWithNetwork', 'sayssusai', body, patience);
  }

  /** Forgets a machine; nothing happens to its processes. BusError NoSuchMachine when there is none. */
  async unregister(name: string, patience: Patience = {}): Promise<void> {
    await this.#call('UnregisterMachine', 's', [name], patience);
  }

  /** `opening`, `running` or `closing`. BusError UnknownObject, as for leader and unit, when there is no such machine. */
  async state(name: string, patience: Patience = {}): Promise<string> {
    return asString(await this.#property(name, 'State', patience), `The state of the machine ${name}`);
  }

  /** The process that stands for the machine. */
  async leader(name: string, patience: Patience = {}): Promise<number> {
    return asNumber(await this.#property(name, 'Leader', patience), `The leader of the machine ${name}`);
  }

  /** Who registered the machine, `systemd-nspawn` for one. */
  async service(name: string, patience: Patience = {}): Promise<string> {
    return asString(await this.#property(name, 'Service', patience), `The service of the machine ${name}`);
  }

  /** The machine's unit: a scope or service. */
  async unit(name: string, patience: Patience = {}): Promise<string> {
    return asString(await this.#property(name, 'Unit', patience), `The unit of the machine ${name}`);
  }

  async #call(
    member: string,
    signature: string,
    body: readonly unknown[],
    patience: Patience,
  ): Promise<void> {
    await this.#bus.call(
      { destination, path, interface: 'org.freedesktop.machine1.Manager', member, signature, body },
      patience,
    );
  }

  async #property(machine: string, property: string, patience: Patience): Promise<unknown> {
    const [value] = await this.#bus.call(
      {
        destination,
        path: `${path}/machine/${escapeLabel(machine)}`,
        interface: 'org.freedesktop.DBus.Properties',
        member: 'Get',
        signature: 'ss',
        body: ['org.freedesktop.machine1.Machine', property],
      },
      patience,
    );
    return value;
  }
}
