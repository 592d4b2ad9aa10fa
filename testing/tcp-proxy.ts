import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';

/** Stands between a client and a server on loopback. */
export interface TcpProxy extends AsyncDisposable {
  readonly port: number;
  /** Forwards nothing any more, either way, and closes nothing: as when a network swallows everything. */
  swallow(): void;
  /** Sees what a client sends. */
  onSent: ((bytes: Buffer) => void) | undefined;
  /** Bytes taken from the server so far. */
  readonly received: number;
  /** Connections of clients that are open. */
  readonly open: number;
}

export async function proxyTo(port: number): Promise<TcpProxy> {
  const sockets = new Set<Socket>();
  let isSwallowing = false;
  const proxy = {
    port: 0,
    received: 0,
    open: 0,
    onSent: undefined as ((bytes: Buffer) => void) | undefined,
    swallow: () => {
      isSwallowing = true;
      for (const socket of sockets) socket.pause();
    },
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      listener.close();
      await once(listener, 'close');
    },
  };
  const listener = createServer((client) => {
    const server = connect(port, '127.0.0.1');
    proxy.open += 1;
    for (const socket of [client, server]) {
      sockets.add(socket);
      socket.on('error', () => undefined);
    }
    client.on('data', (bytes) => {
      proxy.onSent?.(bytes);
      server.write(bytes);
    });
    server.on('data', (bytes) => {
      proxy.received += bytes.length;
      if (client.write(bytes) || isSwallowing) return;
      server.pause();
      client.once('drain', () => {
        if (!isSwallowing) server.resume();
      });
    });
    client.on('close', () => {
      proxy.open -= 1;
      server.destroy();
    });
    server.on('close', () => client.destroy());
  });
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  proxy.port = (listener.address() as { port: number }).port;
  return proxy;
}
