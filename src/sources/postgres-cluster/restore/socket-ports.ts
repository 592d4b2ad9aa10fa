import { readdir, readFile } from 'node:fs/promises';

const usualSockets = ['/tmp', '/run/postgresql', '/var/run/postgresql'];
const socketName = /\.s\.PGSQL\.(\d+)$/;

/** Ports of PostgreSQL servers that listen on sockets: all there are where the system lists them, else those in the usual places. */
export async function socketPorts(): Promise<ReadonlySet<number>> {
  const listed = await readFile('/proc/net/unix', 'utf8').catch(() => null);
  const names = listed?.split('\n') ?? (await Promise.all(usualSockets.map(namesIn))).flat();
  return new Set(names.flatMap((name) => portIn(name)));
}

function portIn(name: string): readonly number[] {
  const [, port] = socketName.exec(name) ?? [];
  return port === undefined ? [] : [Number(port)];
}

async function namesIn(directory: string): Promise<readonly string[]> {
  return await readdir(directory).catch(() => []);
}
