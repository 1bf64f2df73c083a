import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkFullMachine } from '../full-machine.ts';
import { eventually, inEveryTestbed, leftovers, planOf, smallMachine, unitProperties } from './machine.ts';

inEveryTestbed((testbed) => {
  test('a machine with everything that it can have, seen from inside', { timeout: 900_000 }, async () => {
    const bed = testbed();
    const unitName = 'full.service';
    await bed.check(['mkdir', '/srv/full']);
    await checkFullMachine({
      directory: '/srv/full',
      node: '/usr/local/bin/node',
      port: 2222,
      check: (command) => bed.check(command),
      spawn: (command) => bed.spawn(command),
      plan: (options) => planOf(bed, 'full', options),
      start: (options) => {
        const run = bed.spawn(smallMachine(bed, 'full', ...options), {
          unit: true,
          unitName,
          properties: ['Type=notify', 'TimeoutStartSec=infinity'],
        });
        return Object.assign(run, {
          report: (topic: string) =>
            eventually(`a report about ${topic}: ${run.stderr}`, async () => {
              const { StatusText: text = '' } = await unitProperties(bed, unitName, ['StatusText']);
              return text.startsWith(`Guest: ${topic} `) ? text : undefined;
            }),
          ready: () =>
            eventually('a service that is active', async () => {
              const { ActiveState: state } = await unitProperties(bed, unitName, ['ActiveState']);
              return state === 'active' ? state : undefined;
            }).then(() => {}),
          end: async () => {
            const { status, stderr } = await run.ended;
            return [status, stderr] as const;
          },
        });
      },
    });
    assert.deepEqual(await leftovers(bed, 'full'), []);
  });
});
