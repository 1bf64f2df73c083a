import { parseBoolean } from '../values.ts';
import { type Option, setting } from './option.ts';

export const networkOptions: readonly Option[] = [
  {
    name: 'network-user-mode',
    argument: null,
    group: 'Network',
    since: '0.1',
    help: 'Give the machine a network through this process',
    man: [
      "Adds a network interface whose traffic leaves the host through QEMU's own user-mode network: the guest gets an address by DHCP and reaches what the invoking user reaches, nobody reaches the guest, and no privilege is needed. Without it the machine has no network interface.",
    ],
    key: 'NetworkUserMode',
    effect: setting((settings, value, place) => {
      settings.network = parseBoolean(value, place) ? 'user' : 'none';
    }),
  },
];
