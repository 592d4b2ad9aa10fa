// A program that has better things to do than to be disturbed by its backups. Prints what they did to its process.
import { createBackup, initRepository, openRepository, restoreBackup, verifyBackup } from 'holdfast';

const [url = '', target = ''] = process.argv.slice(2);
const signals = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGPIPE', 'exit', 'beforeExit', 'uncaughtException'];
const ofProcess = ['unhandledRejection', 'warning'];
const warnings: string[] = [];
process.on('warning', ({ message }) => warnings.push(message));

function state() {
  return {
    listeners: [...signals, ...ofProcess].map((name) => [name, process.listenerCount(name)]),
    cwd: process.cwd(),
    umask: process.umask(),
    exitCode: process.exitCode ?? null,
    title: process.title,
    env: { ...process.env },
  };
}

const before = state();
const repository = './backups';
const source = { name: 'shop', type: 'postgres', url } as const;
await initRepository({ repository });
await Promise.all([createBackup({ repository, source }), createBackup({ repository, source })]);
await restoreBackup({ repository, id: 'latest', to: target });
await verifyBackup({ repository, readData: true });
await createBackup({ repository, source: { ...source, url: `${url}_gone` } }).catch(() => {});
const controller = new AbortController();
await createBackup({
  repository,
  source,
  signal: controller.signal,
  onProgress: () => controller.abort(),
}).catch(() => {});
const opened = await openRepository({ repository });
for await (const { path } of opened.entries('latest')) {
  for await (const piece of opened.read('latest', path)) if (piece.length > 0) break;
}
await opened.close();
console.log(JSON.stringify({ before, after: state(), warnings }));
// Nothing ends the process: it must end by itself.
