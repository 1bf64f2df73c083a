import { printable } from '../errors.ts';
import type { Notice } from '../plan/plan.ts';
import type { QmpEvent } from '../qemu/messages.ts';

/** What is known about the machine from QEMU's events alone. */
export interface GuestState {
  /** `prelaunch` until the first RESUME, which `cont` gives. */
  readonly run: 'prelaunch' | 'running' | 'paused';
  /** QEMU's SHUTDOWN: it ends by itself now. `reason` is QAPI's ShutdownCause. */
  readonly shutdown: { readonly guest: boolean; readonly reason: string } | null;
  /** The guest's kernel gave up: exit status 1, whatever QEMU's own is. */
  readonly panicked: boolean;
  readonly resets: number;
  /** What was said once and is not said again. */
  readonly said: readonly string[];
}

export interface Observation {
  readonly state: GuestState;
  readonly notices: readonly Notice[];
  /** The machine is of no use any more and QEMU does not end it by itself. */
  readonly end: boolean;
}

export const initialGuestState: GuestState = {
  run: 'prelaunch',
  shutdown: null,
  panicked: false,
  resets: 0,
  said: [],
};

/** A guest can make I/O errors without end; so many different ones are remembered as said. */
const SAID_LIMIT = 64;

/** What an event means (qemu-qmp-ref(7)): the state after it, what the user is told, and whether the run ends. */
export function observe(state: GuestState, { name, data }: QmpEvent): Observation {
  const text = (member: string) => {
    const value = data[member];
    return typeof value === 'string' ? printable(value) : '';
  };
  switch (name) {
    case 'RESUME':
      return result(
        { ...state, run: 'running' },
        state.run === 'paused' && notice('The virtual machine goes on.'),
      );
    case 'STOP':
      // QEMU stops the machine on its way out too, and after an event that has already said so.
      return result(
        { ...state, run: 'paused' },
        state.run === 'running' && state.shutdown === null && notice('The virtual machine is paused.'),
      );
    case 'RESET':
      return result(
        { ...state, resets: state.resets + 1 },
        notice(data['guest'] === true ? 'The guest reboots.' : 'The virtual machine was reset.'),
      );
    case 'SHUTDOWN': {
      const reason = text('reason');
      const panicked = state.panicked || reason === 'guest-panic';
      return result(
        { ...state, panicked, shutdown: { guest: data['guest'] === true, reason } },
        reason === 'guest-shutdown' && notice('The guest has powered off.'),
        reason === 'host-error' && warning('QEMU ends because of an error on the host.'),
      );
    }
    case 'GUEST_PANICKED': {
      const action = text('action');
      return {
        ...result(
          { ...state, panicked: true, run: action === 'run' ? state.run : 'paused' },
          !state.panicked && { ...warning('The kernel of the guest has panicked.'), event: 'guest-panicked' },
        ),
        // `poweroff`: SHUTDOWN follows. `run`: somebody asked for that with --qemu-arg.
        end: action === 'pause',
      };
    }
    case 'BLOCK_IO_ERROR':
      return blockError(state, {
        drive: text('node-name') || text('device') || text('qom-path') || 'without a name',
        operation: text('operation') === 'read' ? 'reading from' : 'writing to',
        reason: text('reason') || 'unknown',
        full: data['nospace'] === true,
        pauses: data['action'] === 'stop',
      });
    case 'WATCHDOG': {
      const action = text('action');
      return result(
        { ...state, run: action === 'pause' ? 'paused' : state.run },
        warning(`The watchdog of the guest has expired (action: ${action}).`),
      );
    }
    default:
      return result(state);
  }
}

function blockError(
  state: GuestState,
  error: { drive: string; operation: string; reason: string; full: boolean; pauses: boolean },
): Observation {
  const { drive, operation, reason, full, pauses } = error;
  if (pauses) {
    // Several requests fail together; one message a pause.
    if (state.run === 'paused') return result(state);
    return result(
      { ...state, run: 'paused' },
      warning(
        full
          ? `No space is left for drive ${drive}; the virtual machine is paused. Free some space on the host, then send SIGUSR2 to vmspawn.`
          : `${operation} drive ${drive} failed (${reason}); the virtual machine is paused.`,
      ),
    );
  }
  const key = `${operation} ${drive} ${reason}`;
  if (state.said.includes(key)) return result(state);
  return result(
    { ...state, said: [...state.said, key].slice(-SAID_LIMIT) },
    warning(`${operation} drive ${drive} failed (${reason}); the guest was told so.`),
  );
}

function result(state: GuestState, ...notices: (Notice | false)[]): Observation {
  return { state, notices: notices.filter((each) => each !== false), end: false };
}

function notice(text: string): Notice {
  return { level: 'notice', text };
}

function warning(text: string): Notice {
  return { level: 'warning', text: `${text.charAt(0).toUpperCase()}${text.slice(1)}` };
}
