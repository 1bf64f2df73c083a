import { QemuError } from '../errors.ts';

/** QEMU refused a command. The message ends with QEMU's own words. */
export class QmpError extends QemuError {
  readonly command: string;
  /** QAPI's class: `GenericError`, `CommandNotFound`, `DeviceNotFound`, ... */
  readonly class: string;
  readonly description: string;

  constructor(command: string, { class: name, description }: { class: string; description: string }) {
    super(`QEMU refused ${command}: ${description}`);
    this.command = command;
    this.class = name;
    this.description = description;
  }
}

/** The connection to QEMU is gone or useless: it ended, failed, or carried what is no QMP. */
export class QmpConnectionError extends QemuError {}

/** QEMU did not answer in time. */
export class QmpTimeoutError extends QemuError {}
