/**
 * The errors that a user gets to see. One class for each cause; the message is one sentence that names the option and
 * the value, `hint` says what to do next, `cause` keeps what lies beneath. The exit status is decided in one place
 * only, by `exitStatusOf`.
 */
export abstract class VmspawnError extends Error {
  /** Stable, for programs: `error.code === 'IMAGE_MISSING'` survives two copies of this library in one process. */
  abstract readonly code: string;
  /** The next step for the user, a sentence of its own. */
  readonly hint: string | undefined;

  constructor(message: string, options: { cause?: unknown; hint?: string } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = new.target.name;
    this.hint = options.hint;
  }
}

/** An option or a value that cannot be used. */
export class UsageError extends VmspawnError {
  readonly code = 'USAGE';
}

/** An image, kernel or initrd that is missing, unreadable or not what it is said to be. */
export class ImageError extends VmspawnError {
  readonly code = 'IMAGE';
}

/** A firmware descriptor that is missing, malformed or does not fit; or NVRAM state that cannot be used. */
export class FirmwareError extends VmspawnError {
  readonly code = 'FIRMWARE';
}

/** Something that this host lacks: a program, a device, a feature. */
export class HostError extends VmspawnError {
  readonly code = 'HOST';
}

/** A name, an image or a state that a running machine holds. */
export class LockError extends VmspawnError {
  readonly code = 'LOCKED';
}

/** QEMU did not start, refused a command or died. */
export class QemuError extends VmspawnError {
  readonly code = 'QEMU';
}

/** A daemon beside QEMU (swtpm, virtiofsd) failed. */
export class AuxiliaryError extends VmspawnError {
  readonly code = 'AUXILIARY';
  /** The machine cannot do without it; otherwise it may be started again without. */
  readonly required: boolean;
  /** Name of the daemon. */
  readonly daemon: string;

  constructor(
    message: string,
    options: { cause?: unknown; hint?: string; required: boolean; daemon: string },
  ) {
    super(message, options);
    this.required = options.required;
    this.daemon = options.daemon;
  }
}

/** A service manager or systemd-machined refused something, or does not answer. */
export class ManagerError extends VmspawnError {
  readonly code = 'MANAGER';
}

/** The early child could not take over the command line, or could not become QEMU. */
export class HandOverError extends VmspawnError {
  readonly code = 'HAND_OVER';
}

/** A file or directory of ours (runtime directory, state, lock) could not be made or used. */
export class FileError extends VmspawnError {
  readonly code = 'FILE';
}

/** A machine that does not run, or does not have what is asked of it. */
export class MachineError extends VmspawnError {
  readonly code = 'MACHINE';
}

/** The start was given up because somebody asked for it (a signal, a hotkey, an AbortSignal). */
export class InterruptedError extends VmspawnError {
  readonly code = 'INTERRUPTED';

  /** For a start whose signal was aborted; the cause is the signal's reason. */
  static of(signal: AbortSignal | undefined): InterruptedError {
    return new InterruptedError('The start was given up', { cause: signal?.reason });
  }
}

/**
 * Makes text from a guest, a file or another program fit for a terminal: every control character and every byte
 * that could start an escape sequence is shown as an escape. Line feeds and tabs stay if `multiline`.
 */
export function printable(text: string, { multiline = false } = {}): string {
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g, (character) => {
    if (multiline && (character === '\n' || character === '\t')) return character;
    const code = character.charCodeAt(0);
    return code < 0x100
      ? `\\x${code.toString(16).padStart(2, '0')}`
      : `\\u${code.toString(16).padStart(4, '0')}`;
  });
}

/**
 * The whole cause chain as text for the user, on one line whatever is in a value: messages joined by `: ` where a cause adds
 * something, then the hint. A stack is given only for what is no error of ours (a defect of the program).
 */
export function describeError(error: unknown): string {
  if (!(error instanceof VmspawnError)) {
    if (error instanceof Error) return printable(error.stack ?? error.message, { multiline: true });
    return printable(String(error));
  }
  let text = printable(error.message);
  for (let cause: unknown = error.cause; cause instanceof Error; cause = cause.cause) {
    const more = printable(cause.message);
    if (!text.includes(more)) text = `${text.replace(/\.$/, '')}: ${more}`;
  }
  if (!/[.!?:]$/.test(text)) text += '.';
  return error.hint === undefined ? text : `${text} ${printable(error.hint)}`;
}
