import { createServer, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { startCeph, type CephServer } from './ceph-server.ts';

// Keeps one Ceph for all test processes of a run; started by ceph.ts, detached. A process that uses it holds a
// connection, so however it ends, it is known to be gone. It ends when nobody has used it for a minute, or nobody
// uses it and the runs that did are over.

const [address = ''] = process.argv.slice(2);
const idleMs = 60_000;
const users = new Set<Socket>();
const runs = new Set<number>();
let lastUsedAtMs = performance.now();

const server = createServer((socket) => {
  users.add(socket);
  socket.setEncoding('utf8');
  socket.once('data', (text) => runs.add(Number(text)));
  socket.on('error', () => undefined);
  socket.on('close', () => {
    users.delete(socket);
    lastUsedAtMs = performance.now();
  });
  void answer(socket);
});
// Another one was quicker.
server.on('error', () => process.exit(0));
server.listen({ path: `\0${address}` }, () => void watch());

let starting: Promise<CephServer> | undefined;

async function answer(socket: Socket): Promise<void> {
  try {
    const { port } = await (starting ??= startCeph());
    socket.write(`${JSON.stringify({ port })}\n`);
  } catch (error) {
    socket.end(`${JSON.stringify({ error: String(error) })}\n`);
  }
}

async function watch(): Promise<void> {
  for (;;) {
    await delay(250);
    const idleForMs = performance.now() - lastUsedAtMs;
    const isRunOver = runs.size > 0 && ![...runs].some(isAlive);
    if (users.size === 0 && (isRunOver || idleForMs > idleMs)) break;
  }
  server.close();
  await (await starting?.catch(() => undefined))?.[Symbol.asyncDispose]();
  process.exit(0);
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
