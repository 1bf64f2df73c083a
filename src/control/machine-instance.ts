import { constants } from 'node:os';
import { QmpConnectionError, QmpTimeoutError } from '../qemu/errors.ts';
import type { VarlinkInterface } from '../varlink/index.ts';
import { VarlinkError } from '../varlink/index.ts';
import type { ControlledMachine } from './machine.ts';

/** Names and types as systemd 262 has them, for machinectl and other clients of it. */
const description = `# One machine of this host, for whoever controls machines of any kind.
interface io.systemd.MachineInstance

# Ends the machine at once; what the guest has not written to its disks is lost.
method Terminate() -> ()

# Presses the power button. The reply does not wait for the guest: it comes at once, and the connection is closed when the
# machine is gone.
method PowerOff() -> ()

# Resets the machine at once, without a word to the guest.
method Reboot() -> ()

# Tells what the machine does now.
method Describe() -> (
  # Whether the processors of the guest run.
  running: bool,
  # The state in QEMU's words (RunState): prelaunch, running, paused, shutdown, ...
  status: string
)

# There is no QEMU to ask: it does not run yet, or it has ended.
error NotConnected()
`;

/** The interface io.systemd.MachineInstance on the machine that `machine` gives at the time of a call. */
export function machineInstance(machine: () => ControlledMachine): VarlinkInterface {
  return {
    description,
    methods: {
      Terminate: async () => void machine().terminate(),
      PowerOff: async () => void machine().powerOff(),
      Reboot: () => told(machine().reboot()),
      Describe: () => told(machine().describe()),
    },
  };
}

/** A failure of QMP as the error reply that clients of systemd understand. */
async function told<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof QmpConnectionError) {
      throw new VarlinkError('io.systemd.MachineInstance.NotConnected');
    }
    const errnoName = error instanceof QmpTimeoutError ? 'ETIMEDOUT' : 'EIO';
    throw new VarlinkError('io.systemd.System', {
      origin: 'linux',
      errno: constants.errno[errnoName],
      errnoName,
    });
  }
}
