import type { GuestState } from './events.ts';

/** Where the ladder is: what was done last, and is waited for. */
export type Step = 'idle' | 'powerdown' | 'quit' | 'terminate' | 'kill' | 'stuck' | 'gone';

export type Input =
  /** Somebody wants the machine to end; `reason` is a sentence part such as `SIGTERM received`. */
  | { readonly type: 'request'; readonly reason: string }
  /** The guest is not to be asked. */
  | { readonly type: 'end'; readonly reason: string }
  /** The time of the step is over. */
  | { readonly type: 'late' }
  /** The time after which a guest that heeds the power button may be expected to be gone. */
  | { readonly type: 'reminder'; readonly answered: boolean }
  /** QEMU refused the command, or the connection is lost. */
  | { readonly type: 'failed'; readonly words: string }
  | { readonly type: 'exited' };

export interface Move {
  readonly step: Step;
  /** What is to be done; null to go on waiting. */
  readonly effect: 'powerdown' | 'quit' | 'SIGTERM' | 'SIGKILL' | null;
  /** Milliseconds until `late`; null leaves a running timer as it is. */
  readonly deadline: number | null;
  readonly notice: string | null;
}

/** Milliseconds after which the guest's silence is worth a word. */
export const REMINDER = 10_000;
/** Milliseconds for `quit`, SIGTERM and SIGKILL each. */
export const STEP_TIMEOUT = 5_000;

/**
 * The shutdown ladder without its effects: ACPI power-down, QMP quit, SIGTERM, SIGKILL. Every further request, a late
 * step and a step that failed go one further. `timeout` is the guest's grace period in milliseconds.
 */
export function move(
  step: Step,
  input: Input,
  { guest, timeout }: { guest: GuestState; timeout: number },
): Move {
  if (step === 'gone' || input.type === 'exited') return stay('gone');
  switch (input.type) {
    case 'request':
      if (step === 'idle') return first(input.reason, guest, timeout);
      return further(step, `${input.reason} again`);
    case 'end':
      if (step === 'idle' || step === 'powerdown') return quit(`${input.reason}: ending the virtual machine`);
      return further(step, `${input.reason} again`);
    case 'late':
      if (step === 'powerdown')
        return further(step, `The guest did not power off within ${seconds(timeout)}`);
      return further(step, 'QEMU did not end');
    case 'failed':
      // With quit a lost connection is what is hoped for, and a refusal leaves nothing but signals.
      if (step === 'powerdown') return further(step, `The guest could not be powered off (${input.words})`);
      return step === 'quit' ? further(step, `QEMU did not quit (${input.words})`) : stay(step);
    case 'reminder':
      return step === 'powerdown' ? remind(input.answered, guest, timeout) : stay(step);
  }
}

function first(reason: string, guest: GuestState, timeout: number): Move {
  if (guest.run === 'prelaunch')
    return quit(`${reason}: ending the virtual machine, which was not started yet`);
  // The power button of a machine that is paused is pressed when it goes on, if ever.
  if (guest.run === 'paused') {
    return quit(`${reason}: ending the virtual machine, which is paused and cannot power itself off`);
  }
  if (timeout === 0) return quit(`${reason}: ending the virtual machine`);
  return {
    step: 'powerdown',
    effect: 'powerdown',
    deadline: timeout,
    notice: Number.isFinite(timeout)
      ? `${reason}: powering the guest off, for which it has ${seconds(timeout)}.`
      : `${reason}: powering the guest off.`,
  };
}

function further(step: Step, why: string): Move {
  switch (step) {
    case 'powerdown':
      return quit(`${why}: ending the virtual machine`);
    case 'quit':
      return {
        step: 'terminate',
        effect: 'SIGTERM',
        deadline: STEP_TIMEOUT,
        notice: `${why}: sending it SIGTERM.`,
      };
    case 'terminate':
      return {
        step: 'kill',
        effect: 'SIGKILL',
        deadline: STEP_TIMEOUT,
        notice: `${why}: sending it SIGKILL.`,
      };
    case 'kill':
      return {
        step: 'stuck',
        effect: null,
        deadline: null,
        notice:
          'QEMU is there even after SIGKILL; it may wait for a disk or a file system that does not answer.',
      };
    default:
      return stay(step);
  }
}

function quit(why: string): Move {
  return { step: 'quit', effect: 'quit', deadline: STEP_TIMEOUT, notice: `${why}.` };
}

function remind(answered: boolean, guest: GuestState, timeout: number): Move {
  if (!answered) return quit('QEMU does not answer: ending the virtual machine');
  if (guest.shutdown !== null) return stay('powerdown');
  const left = Number.isFinite(timeout)
    ? `It has ${seconds(timeout - REMINDER)} left; ask once more to end it now.`
    : 'Ask once more to end it now.';
  return {
    ...stay('powerdown'),
    notice:
      guest.run === 'paused'
        ? `The virtual machine was paused on its way down. ${left}`
        : `The guest seems to ignore the power button, or takes its time. ${left}`,
  };
}

function stay(step: Step): Move {
  return { step, effect: null, deadline: null, notice: null };
}

function seconds(milliseconds: number): string {
  return `${Math.round(milliseconds / 100) / 10} s`;
}
