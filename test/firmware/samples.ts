import type { FirmwareDescriptor } from '../../src/firmware/descriptor.ts';

/** Content of a descriptor file as Debian's package ovmf has it, with what a test changes. */
export function content(changes: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    description: 'UEFI firmware for x86_64',
    'interface-types': ['uefi'],
    mapping: {
      device: 'flash',
      executable: { filename: '/usr/share/OVMF/OVMF_CODE_4M.fd', format: 'raw' },
      'nvram-template': { filename: '/usr/share/OVMF/OVMF_VARS_4M.fd', format: 'raw' },
    },
    targets: [{ architecture: 'x86_64', machines: ['pc-q35-*'] }],
    features: ['acpi-s3'],
    tags: [],
    ...changes,
  };
}

export function descriptor(path: string, changes: Partial<FirmwareDescriptor> = {}): FirmwareDescriptor {
  return {
    path,
    description: `The firmware ${path}`,
    interfaceTypes: ['uefi'],
    mapping: {
      device: 'flash',
      mode: 'split',
      executable: { filename: '/code', format: 'raw' },
      nvramTemplate: { filename: '/vars', format: 'raw' },
    },
    targets: [{ architecture: 'x86_64', machines: ['pc-q35-*'] }],
    features: [],
    tags: [],
    ...changes,
  };
}
