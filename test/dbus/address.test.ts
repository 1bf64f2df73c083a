import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseBusAddress, systemBusAddress, userBusAddress } from '../../src/dbus/address.ts';
import { BusConnectError } from '../../src/dbus/errors.ts';

test('the Unix sockets of an address, in its order', () => {
  assert.deepEqual(
    parseBusAddress(
      'tcp:host=x,port=1;unix:path=/run/a%20b,guid=0f;unix:guid=1,abstract=c;unix:path=/%c3%a9é',
    ).map(({ path }) => path),
    ['/run/a b', '\0c', '/éé'],
  );
});

test('an address without a Unix socket is refused in words', () => {
  for (const address of [
    '',
    ';',
    'unix:',
    'unix:path=',
    'tcp:host=localhost,port=1',
    '/run/bus',
    'unix:path=/a%00b',
  ]) {
    assert.throws(
      () => parseBusAddress(address),
      (error) => error instanceof BusConnectError && error.message.includes(`"${address}"`),
      address,
    );
  }
});

test('where the buses are', () => {
  assert.equal(systemBusAddress({}), 'unix:path=/run/dbus/system_bus_socket');
  assert.equal(systemBusAddress({ DBUS_SYSTEM_BUS_ADDRESS: 'unix:path=/x' }), 'unix:path=/x');
  assert.equal(userBusAddress({}), null);
  assert.equal(userBusAddress({ XDG_RUNTIME_DIR: '/run/user/1000' }), 'unix:path=/run/user/1000/bus');
  assert.equal(
    userBusAddress({ XDG_RUNTIME_DIR: '/x', DBUS_SESSION_BUS_ADDRESS: 'unix:path=/y' }),
    'unix:path=/y',
  );
});

test('whatever the runtime directory is called, its bus is found again', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme', minLength: 1 }), (name) => {
      fc.pre(!name.includes('\0'));
      const address = userBusAddress({ XDG_RUNTIME_DIR: `/${name}` });
      assert.deepEqual(
        parseBusAddress(address ?? '').map(({ path }) => path),
        [`/${name}/bus`],
      );
    }),
  );
});
