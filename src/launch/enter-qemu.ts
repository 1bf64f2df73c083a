import type { EarlyChild } from '../child/early-child.ts';
import { ConsoleHub } from '../console/hub.ts';
import type { DisposalStack } from '../disposal.ts';
import { InterruptedError } from '../errors.ts';
import { programEnvironment } from '../host/identity.ts';
import type { Manager, RunningAuxiliary } from '../manager/manager.ts';
import type { Plan } from '../plan/plan.ts';
import { renderArguments } from '../qemu/arguments.ts';
import { Qmp } from '../qemu/qmp.ts';
import { DescriptorStream } from '../sys/descriptor-stream.ts';
import { PipeStream } from '../sys/pipe-stream.ts';
import { openDescriptors } from './descriptors.ts';
import type { GuestChannel } from './guest-channel.ts';
import type { GuestWord } from './guest-word.ts';
import type { StartRequest } from './machine.ts';
import type { MachineControl } from './machine-control.ts';
import { startFailure } from './qemu-death.ts';
import { RunningMachine } from './running-machine.ts';
import type { Taps } from './taps.ts';
import { WindowSizePort } from './window-size.ts';

/** Milliseconds for which the small pieces of a flood may gather: nobody reads what goes by so fast. */
const consoleGather = 50;

/** Milliseconds that QEMU gets from its exec to its QMP greeting; under TCG on a loaded host this takes 0.3 s. */
const greetingTimeout = 30_000;

export interface PreparedMachine {
  readonly plan: Plan;
  readonly child: EarlyChild;
  readonly manager: Manager;
  readonly control: MachineControl;
  readonly auxiliaries: readonly RunningAuxiliary[];
  readonly word: GuestWord;
  readonly channel: GuestChannel;
  readonly credentials: ReadonlyMap<number, Uint8Array>;
  readonly taps: Taps;
}

/**
 * From a complete plan to processors that run: hand-over, QMP, `cont`. The machine takes over what `stack` owns. Throws a
 * VmspawnError with what QEMU, or a daemon that has taken it along, had to say; QEMU is gone then.
 */
export async function enterQemu(
  { plan, child, manager, control, auxiliaries, word, channel, credentials, taps }: PreparedMachine,
  stack: DisposalStack,
  { environment, signal, notice }: Pick<StartRequest, 'environment' | 'signal' | 'notice'>,
): Promise<RunningMachine> {
  const descriptors = stack.use(openDescriptors(plan.descriptors, credentials, taps));
  let console: ConsoleHub | null = null;
  try {
    const qmpDescriptor = descriptors.take('qmp');
    if (qmpDescriptor === null) throw new Error('The plan has no socket pair for QMP');
    const qmp = stack.use(new Qmp(new DescriptorStream(qmpDescriptor)));
    const notifyDescriptor = descriptors.take('notify');
    if (notifyDescriptor === null)
      throw new Error('The plan has no socket pair for the guest to be heard by');
    channel.listenTo(new DescriptorStream(notifyDescriptor, { allowHalfOpen: false }));
    const [input, output] = [descriptors.take('console-output'), descriptors.take('console-input')];
    if (input !== null && output !== null) {
      const sizeDescriptor = descriptors.take('window-size');
      const sizePort =
        sizeDescriptor === null ? null : stack.use(new WindowSizePort(new DescriptorStream(sizeDescriptor)));
      console = new ConsoleHub(new PipeStream({ input, output, gather: consoleGather }), {
        onSize: (size) => sizePort?.tell(size),
        patient: plan.console.terminal !== 'hvc0',
      });
    }
    await child.handOver(
      {
        argv: [plan.qemu.binary, ...renderArguments(plan.qemu.configuration)],
        environment: {
          LANG: 'C.UTF-8',
          ...programEnvironment(environment),
          ...plan.qemu.environment,
        },
        descriptors: descriptors.passed,
        descriptorLimit: plan.descriptorLimit,
        // A terminal's Ctrl-C goes to the whole foreground group; QEMU would die of it before the guest is shut down.
        ownSession: plan.console.transport !== 'terminal',
      },
      signal,
    );
    descriptors.closePassed();
    if (plan.manager === null) await control.open(plan.control);
    await qmp.negotiate({ signal, timeout: greetingTimeout });
    if (signal.aborted) throw InterruptedError.of(signal);
    const machine = new RunningMachine({
      plan,
      child,
      qmp,
      console,
      auxiliaries,
      manager,
      word,
      channel,
      notice,
    });
    await qmp.execute('cont', undefined, { signal });
    control.attach(machine.controlled);
    machine.supervise(stack.move());
    return machine;
  } catch (error) {
    console?.destroy();
    const failure = await startFailure(error, child, auxiliaries, signal);
    // Before the daemons, which the stack would end first: QEMU would complain of their loss.
    await child[Symbol.asyncDispose]();
    throw failure;
  }
}
