import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { listenUnix } from '../../src/sys/unix-listener.ts';
import {
  describeInterface,
  parseInterface,
  VarlinkError,
  type VarlinkServer,
  validate,
} from '../../src/varlink/index.ts';
import type { Answer, Question } from '../varlink/fixtures/ask.ts';
import { lamp, lampDescription, lampServer, type Seen, until } from '../varlink/lamp.ts';
import { bootTestbed, type Finished, type Testbed, testbeds } from './testbed.ts';

for (const name of testbeds) {
  describe(name, () => {
    let testbed: Testbed;
    before(async () => {
      testbed = await bootTestbed(name);
    });
    after(() => testbed[Symbol.asyncDispose]());

    /** A path of the testbed as we see it: sockets work across mount namespaces. */
    const outside = (path: string) => `/proc/${testbed.pid}/root${path}`;

    /** Asks from inside: who is in no PID namespace of theirs has no PID, and systemd closes the connection. */
    const askAll = async (questions: readonly (readonly [string, readonly Question[]])[]) => {
      const program = '/vmspawn/build/test/varlink/fixtures/ask.cjs';
      const { stdout } = await testbed.check(['node', program, JSON.stringify(questions)]);
      return JSON.parse(stdout) as Answer[][];
    };
    const ask = async (path: string, questions: readonly Question[]): Promise<Answer[]> => {
      return (await askAll([[path, questions]]))[0] ?? [];
    };

    const describe = (interfaceName: string): Question => ({
      method: 'org.varlink.service.GetInterfaceDescription',
      parameters: { interface: interfaceName },
    });

    test('our client understands the services of systemd, our parser their interfaces', async () => {
      await testbed.check(['systemctl', 'start', 'systemd-machined']);
      const { stdout } = await testbed.check(['find', '/run/systemd', '-type', 's', '-name', 'io.systemd.*']);
      const paths = stdout.trim().split('\n');
      const infos = await askAll(paths.map((path) => [path, [{ method: 'org.varlink.service.GetInfo' }]]));
      if (testbed.systemd < 257) {
        const [error, method] = ['org.varlink.service.MethodNotImplemented', 'org.varlink.service.GetInfo'];
        for (const [info] of infos) assert.deepEqual(info, { error, parameters: { method } });
        return;
      }
      const interfaces = infos.map(([info]) => {
        const [reply] = info?.replies ?? [];
        assert.match(String(reply?.['product']), /systemd/, JSON.stringify(info));
        const names = reply?.['interfaces'];
        assert.ok(Array.isArray(names));
        return names.map(String);
      });
      const found = new Map<string, string>();
      const answers = await askAll(
        paths.map((path, index) => [path, (interfaces[index] ?? []).map(describe)]),
      );
      for (const [index, names] of interfaces.entries()) {
        for (const [at, name] of names.entries()) {
          const parsed = parseInterface(String(answers[index]?.[at]?.replies?.[0]?.['description']));
          assert.equal(parsed.name, name);
          const text = describeInterface(parsed);
          assert.deepEqual(parseInterface(text), parsed);
          found.set(name, text);
        }
      }
      const expected = [
        ...['org.varlink.service', 'io.systemd', 'io.systemd.Machine', 'io.systemd.MachineImage'],
        ...[
          'io.systemd.UserDatabase',
          'io.systemd.ManagedOOM',
          'io.systemd.Journal',
          'io.systemd.Credentials',
        ],
      ];
      assert.deepEqual(
        expected.filter((one) => !found.has(one)),
        [],
        [...found.keys()].join(' '),
      );
      // What we write, systemd reads.
      const loop = 'for text; do printf %s "$text" | varlinkctl validate-idl || exit 1; done';
      await testbed.check(['sh', '-c', loop, 'sh', ...found.values()]);
    });

    test('our client asks the user database: many records, none, and wrongly', async () => {
      const service = 'io.systemd.DynamicUser';
      const method = 'io.systemd.UserDatabase.GetUserRecord';
      await using unit = testbed.spawn([
        ...['systemd-run', '--quiet', '--pipe', '-p', 'DynamicUser=yes', '-p', 'User=lampuser'],
        ...['sh', '-c', 'echo up; sleep infinity'],
      ]);
      await unit.seen(/up/);
      const [one, many, none, wrong] = await ask(`/run/systemd/userdb/${service}`, [
        { method, parameters: { service, userName: 'lampuser' } },
        { method, parameters: { service }, more: true },
        { method, parameters: { service, userName: 'nobody-of-that-name' } },
        { method, parameters: { service, userName: 5 } },
      ]);
      const userName = (record: unknown) => Object(Object(record).record).userName;
      assert.equal(userName(one?.replies?.[0]), 'lampuser');
      assert.deepEqual(many?.replies?.map(userName), ['lampuser']);
      assert.equal(none?.error, 'io.systemd.UserDatabase.NoRecordFound');
      assert.deepEqual(
        wrong,
        testbed.systemd < 257
          ? { error: 'io.systemd.System', parameters: { errno: 22 } }
          : { error: 'org.varlink.service.InvalidParameter', parameters: { parameter: 'userName' } },
      );
    });

    test('our server serves systemd’s own clients', async () => {
      const seen: Seen = { echoed: [], aborted: [], waiting: 0 };
      // 257 does not know `any` yet.
      const description =
        testbed.systemd < 262 ? lampDescription.replaceAll('?any', '?object') : lampDescription;
      await using served = serve(lampServer({ interfaces: [lamp(seen, description)] }), '/run/lamp');
      if (testbed.systemd < 257) {
        // No varlinkctl yet; journalctl asks whoever listens in the place of the journal.
        const requests: string[] = [];
        mkdirSync(outside('/run/systemd/journal.lamp'));
        await using journal = serve(
          lampServer({
            interfaces: [
              {
                description:
                  'interface io.systemd.Journal\nmethod Synchronize() -> ()\nmethod Rotate() -> ()\nerror NotSupportedByNamespaces()',
                methods: {
                  async Synchronize({ peer }) {
                    requests.push(`Synchronize by ${peer?.uid}`);
                  },
                  async Rotate() {
                    throw new VarlinkError('io.systemd.Journal.NotSupportedByNamespaces');
                  },
                },
              },
            ],
          }),
          '/run/systemd/journal.lamp/io.systemd.journal',
        );
        assert.ok(journal.path);
        const journalctl = (option: string) => testbed.run(['journalctl', '--namespace=lamp', option]);
        assert.deepEqual(await journalctl('--sync'), { status: 0, stdout: '', stderr: '' });
        assert.deepEqual(requests, ['Synchronize by 0']);
        const refused = await journalctl('--rotate');
        assert.equal(refused.status, 1);
        assert.match(refused.stderr, /io\.systemd\.Journal\.NotSupportedByNamespaces/);
        return;
      }
      const varlinkctl = (...words: string[]) => testbed.run(['varlinkctl', ...words]);
      const check = async (...words: string[]) => (await testbed.check(['varlinkctl', ...words])).stdout;
      const call = (method: string, parameters: object, ...options: string[]) =>
        varlinkctl(...options, 'call', '/run/lamp', `org.example.Lamp.${method}`, JSON.stringify(parameters));

      assert.match(
        await check('info', '/run/lamp'),
        /Vendor: Example[\s\S]*Product: Lamp[\s\S]*org\.example\.Lamp/,
      );
      assert.deepEqual((await check('list-interfaces', '/run/lamp')).trim().split('\n').sort(), [
        'org.example.Lamp',
        'org.varlink.service',
      ]);
      const introspected = await check('introspect', '/run/lamp', 'org.example.Lamp');
      assert.deepEqual(
        parseInterface(introspected)
          .members.map(({ name }) => name)
          .sort(),
        parseInterface(lampDescription)
          .members.map(({ name }) => name)
          .sort(),
      );
      const texts = await ask('/run/lamp', ['org.varlink.service', 'org.example.Lamp'].map(describe));
      for (const { replies } of texts) {
        const text = String(replies?.[0]?.['description']);
        for (const input of [text, describeInterface(parseInterface(text))]) {
          await testbed.check(['varlinkctl', 'validate-idl'], { input });
        }
      }

      const value = { a: [1, 'ü', null, 1.5], b: { c: true } };
      assert.deepEqual(JSON.parse((await call('Echo', { value }, '--json=short')).stdout), { value });
      const who = JSON.parse((await call('Who', {}, '--json=short')).stdout);
      assert.equal(who.uid, 0);
      const more = await call('Count', { to: 3 }, '--more', '--json=short');
      assert.deepEqual(numbers(more.stdout), [1, 2, 3]);
      const collected = await call('Count', { to: 3 }, '--collect', '--json=short');
      assert.deepEqual(
        JSON.parse(collected.stdout).map(({ number }: { number: number }) => number),
        [1, 2, 3],
      );
      assert.equal((await call('Echo', { value: { way: 1 } }, '--oneway')).stdout, '');
      await until(() => seen.echoed.length === 2);

      // It prints the parameters of an error, and words of its own for its name where it knows it.
      const failed = async (finished: Promise<Finished>, parameters: object, words: RegExp) => {
        const { status, stdout, stderr } = await finished;
        assert.notEqual(status, 0);
        assert.deepEqual(JSON.parse(stdout || '{}'), parameters);
        assert.match(stderr, words);
      };
      await failed(
        call('Break', { kind: 'glass' }, '--json=short'),
        { kind: 'glass' },
        /org\.example\.Lamp\.Broken/,
      );
      await failed(
        call('Break', { kind: 5 }, '--json=short'),
        { parameter: 'kind' },
        /InvalidParameter|Invalid argument/,
      );
      await failed(
        call('Nothing', {}, '--json=short'),
        { method: 'org.example.Lamp.Nothing' },
        /MethodNotFound|No such device or address/,
      );
      await failed(call('Count', { to: 3 }), {}, /ExpectedMore|Bad message|more/i);

      if ((await check('--help')).includes('--upgrade')) {
        const upgraded = await testbed.check(
          ['varlinkctl', '--upgrade', 'call', '/run/lamp', 'org.example.Lamp.Raw', '{"greeting":"hello"}'],
          { input: 'shout\n' },
        );
        assert.match(upgraded.stdout, /hello\n[\s\S]*SHOUT\n/);
      } else assert.ok(testbed.systemd < 262);
      if ((await check('--help')).includes('--push-fd')) {
        const { stdout } = await testbed.check([
          ...['varlinkctl', '--push-fd=/proc/sys/kernel/ostype', '--json=short'],
          ...['call', '/run/lamp', 'org.example.Lamp.Read', '{}'],
        ]);
        assert.deepEqual(JSON.parse(stdout), { texts: ['Linux\n'] });
      } else assert.ok(testbed.systemd < 262);
      await until(() => served.server.connections === 0);
    });

    /** A server at a path inside. */
    function serve(
      server: VarlinkServer,
      path: string,
    ): { server: VarlinkServer; path: string } & AsyncDisposable {
      const listener = listenUnix(outside(path), { mode: 0o666 });
      server.listen(listener.fd);
      listener.releaseDescriptor({ close: false });
      return {
        server,
        path,
        async [Symbol.asyncDispose]() {
          await server[Symbol.asyncDispose]();
          await listener[Symbol.asyncDispose]();
        },
      };
    }

    test('machined takes a machine that our client registers, and gives it back', async () => {
      await testbed.check(['systemctl', 'start', 'systemd-machined']);
      const socket = '/run/systemd/machine/io.systemd.Machine';
      if (testbed.systemd < 257) {
        await assert.rejects(ask(socket, []), /ENOENT/, 'machined has no interface for it');
        return;
      }
      await using leader = testbed.spawn(['sleep', 'infinity']);
      const parameters = {
        ...{ name: 'lamp', class: 'vm', service: 'lamp' },
        ...{ leader: await leader.pid(), allocateUnit: true },
      };
      const list = { method: 'io.systemd.Machine.List', parameters: { name: 'lamp' } };
      const [description, registered, listed, all, unregistered, gone] = await ask(socket, [
        describe('io.systemd.Machine'),
        { method: 'io.systemd.Machine.Register', parameters },
        list,
        { method: 'io.systemd.Machine.List', more: true },
        { method: 'io.systemd.Machine.Unregister', parameters: { name: 'lamp' } },
        list,
      ]);
      const machine = parseInterface(String(description?.replies?.[0]?.['description']));
      const [register, listing] = [machine.methods.get('Register'), machine.methods.get('List')];
      assert.ok(register && listing);
      validate(machine, register.input, parameters);
      assert.deepEqual([registered, unregistered], [{ replies: [{}] }, { replies: [{}] }]);
      validate(machine, listing.output, listed?.replies?.[0]);
      assert.equal(listed?.replies?.[0]?.['name'], 'lamp');
      assert.ok(all?.replies?.some((reply) => reply['name'] === 'lamp'));
      assert.equal(gone?.error, 'io.systemd.Machine.NoSuchMachine');
    });
  });
}

/** Of replies that are printed one after the other, as JSON-SEQ or without anything between. */
function numbers(text: string): number[] {
  return [...text.matchAll(/"number":(\d+)/g)].map(([, number]) => Number(number));
}
