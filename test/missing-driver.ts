/** What is said of a directory that the guest has no driver for. */
const missing = /(?<=loaded no driver for virtiofs so far: it cannot ).*?(?=\. Its kernel)/g;

/** What a guest cannot mount, by the warnings in a text. */
export function missingDrivers(text: string): string[] {
  return text.match(missing) ?? [];
}

/** A command in the guest that takes its driver away from the virtiofs device with a tag. */
export function withoutDriver(tag: string): string {
  return (
    `for fs in /sys/fs/virtiofs/*; do if [ "$(cat $fs/tag)" = ${tag} ]; then ` +
    'basename $(readlink $fs/device) > /sys/bus/virtio/drivers/virtiofs/unbind; fi; done'
  );
}

/** A command in the guest by which it says that it is ready. */
export const sayReady =
  'echo READY=1 > /dev/$(basename $(dirname $(grep -l org.vmspawn.notify /sys/class/virtio-ports/*/name)))';
