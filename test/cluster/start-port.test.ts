import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { portFor } from '../../src/app/kinds/cluster-start.ts';
import { tempDirectory } from '../../testing/temp.ts';

async function listen(on: string | number): Promise<Server & AsyncDisposable> {
  const server = createServer();
  server.listen(on);
  await once(server, 'listening');
  return server;
}

test('a server that is started keeps its port only where no other server has it, by TCP or by a socket', async () => {
  let free: number;
  {
    await using probe = await listen(0);
    const address = probe.address();
    assert.ok(typeof address === 'object' && address !== null);
    free = address.port;
    assert.notEqual(await portFor(free), free);
  }
  assert.equal(await portFor(free), free);
  // One that listens on no address at all, as with listen_addresses = ''.
  await using place = await tempDirectory();
  await using _original = await listen(join(place.path, `.s.PGSQL.${free}`));
  const other = await portFor(free);
  assert.notEqual(other, free);
  assert.ok(other > 1023 && other < 65_536);
});
