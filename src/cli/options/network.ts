import type { Settings } from '../../settings/settings.ts';
import { parsePort } from '../ports.ts';
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
      "Adds a network interface whose traffic leaves the host through QEMU's own user-mode network: the guest gets an address by DHCP and reaches what the invoking user reaches, nobody reaches the guest except through `--port=`, and no privilege is needed. Without this option and `--network-tap` the machine has no network interface; with both it has two, in the order of the options.",
    ],
    key: 'NetworkUserMode',
    effect: setting((settings, value, place) => {
      setNetwork(settings, 'user', parseBoolean(value, place));
    }),
  },
  {
    name: 'network-tap',
    short: 'n',
    argument: null,
    group: 'Network',
    since: '0.1',
    help: 'Give the machine a network interface of the host',
    man: [
      'Adds a network interface that is connected to a TAP interface of the host. Its name is `vt-` and the name of the machine, shortened to 15 characters where it is longer; systemd-networkd(8) configures interfaces of that name by itself. It is made when the machine starts and goes with it, which needs the capability CAP_NET_ADMIN; an ordinary user can use one that was made before: `ip tuntap add vt-NAME mode tap user USER`. Where `/dev/vhost-net` can be opened, frames go there through the kernel and not through QEMU.',
    ],
    key: 'NetworkTap',
    effect: setting((settings, value, place) => {
      setNetwork(settings, 'tap', parseBoolean(value, place));
    }),
  },
  {
    name: 'port',
    argument: { placeholder: '[ADDRESS:]HOST:GUEST[/udp]', words: [], files: false },
    repeatable: true,
    group: 'Network',
    since: '0.1',
    help: 'Forward a port to the guest; repeatable',
    man: [
      'Forwards the port HOST of this host to the port GUEST of the guest, for TCP unless `/udp` follows. It needs `--network-user-mode`. ADDRESS is the IPv4 address on which the host listens: by default 127.0.0.1, so that only this host reaches the guest; `0.0.0.0` is every address. May be given more than once; an empty value clears the list.',
      '    vmspawn --image=debian.raw --network-user-mode --port=2222:22',
    ],
    key: 'Port',
    effect: setting((settings, value, place) => {
      settings.ports = value === '' ? [] : [...settings.ports, parsePort(value, place)];
    }),
  },
];

function setNetwork(settings: Settings, kind: Settings['network'][number], wanted: boolean): void {
  const others = settings.network.filter((other) => other !== kind);
  if (!wanted) settings.network = others;
  else if (!settings.network.includes(kind)) settings.network = [...others, kind];
}
