/**
 * What happens in the life of a machine and is told in the journal under an ID of its own, so that programs find it
 * (`journalctl MESSAGE_ID=...`). The IDs never change. vmspawn@.service(8) lists them from here.
 */
export const lifecycle = {
  started: {
    id: '85c8bda1ad9741b392a917cea395f721',
    means: 'The machine has started: its processors run. `VMSPAWN_LEADER_PID=` is the PID of QEMU.',
  },
  shutdown: {
    id: '0ea09f92b479491d8d80da506645df25',
    means:
      'The machine is asked to end, by its power button or, when that does not help, by the next step. The message says what is done and why.',
  },
  stopped: {
    id: '680a7a3d0b774fa78300ceab5a1227fa',
    means: 'The machine has ended as it should. `EXIT_STATUS=` is the exit status of `vmspawn`.',
  },
  failed: {
    id: 'd3afee8b988d4f1290d3ebb7414ee051',
    means:
      'The machine could not be started, or has ended in another way than it should. The message says why; `EXIT_STATUS=` is the exit status of `vmspawn`.',
  },
  'not-ready': {
    id: '7645a0c2855d42a8871385ed6110f514',
    means:
      'With `--notify-ready=yes`, the guest has not said in good time that it is ready. It is waited for.',
  },
  'auxiliary-died': {
    id: '34d45d0070cc4416bd144131b107a598',
    means: 'A daemon that the machine needs, such as `swtpm`, is gone; the machine is shut down.',
  },
  'guest-panicked': {
    id: 'a5776732e5ee4ce694b1ae72f5b4aa51',
    means: 'The kernel of the guest has panicked.',
  },
} as const;

export type LifecycleEvent = keyof typeof lifecycle;

/** Fields of our own in the journal, beside those that every entry has. */
export const journalFields = {
  MACHINE: 'Name of the machine.',
  MESSAGE_ID: 'Which event of the list below it is; entries of no such event have none.',
  VMSPAWN_LEADER_PID: 'PID of QEMU.',
  EXIT_STATUS: 'Exit status of `vmspawn`.',
} as const;
