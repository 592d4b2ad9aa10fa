import { join } from 'node:path';
import { after, test } from 'node:test';
import { systemClock } from '../../src/kernel/clock.ts';
import { silentLogger } from '../../src/kernel/log.ts';
import type { Storage } from '../../src/storage/port.ts';
import { openSftpStorage } from '../../src/storage/sftp/open.ts';
import { everyNth, type Fault } from '../../src/storage/wrap/fault-plan.ts';
import { withFaults } from '../../src/storage/wrap/faults.ts';
import { withLimit } from '../../src/storage/wrap/limit.ts';
import { withLog } from '../../src/storage/wrap/log.ts';
import { withRetry } from '../../src/storage/wrap/retry.ts';
import {
  directSftpServer,
  startSftpServer,
  withoutSftpServer,
  type DirectSftpServer,
  type SftpServer,
} from '../../testing/sftp-server.ts';
import { storageConformance } from '../../testing/storage-conformance.ts';
import { TestClock } from './support.ts';

type Wrap = (storage: Storage) => Storage;

const skip = withoutSftpServer();
const scale = { objects: 150, largeBytes: 3_000_000 };

const plain: Wrap = (storage) => storage;

const wrapped: Wrap = (storage) => {
  const clock = new TestClock();
  const retried = withRetry(storage, { clock, random: () => 0.5 });
  return withLog(withLimit(retried, { concurrency: 4 }), silentLogger, clock);
};

const faulty =
  (fault: Fault): Wrap =>
  (storage) => {
    const clock = new TestClock();
    const broken = withFaults(storage, everyNth(3, fault), clock);
    return withRetry(broken, { clock, random: () => 0.5, attempts: 8 });
  };

async function conformance(
  name: string,
  starting: Promise<SftpServer | DirectSftpServer>,
  wrap: Wrap,
  allowUnflushed = false,
): Promise<void> {
  const server = await starting;
  after(() => server[Symbol.asyncDispose]());
  let places = 0;
  const settings = { ...server.settings, allow_unflushed: allowUnflushed };
  const open = async (place: string): Promise<Storage> => {
    const { env } = server;
    return wrap(await openSftpStorage(server.at(place), { create: true, clock: systemClock, settings, env }));
  };
  const subject = async () => {
    places += 1;
    const place = join(server.directory, String(places));
    return { storage: await open(place), cleanup: async () => {}, second: () => open(place) };
  };
  storageConformance(name, subject, scale);
}

const hidden = '-P fsync,hardlink,limits,statvfs,posix-rename,lsetstat,expand-path,copy-data';

if (skip === false) {
  await conformance('sftp', startSftpServer(), plain);
  // What follows is not about logging in, which takes most of the time above.
  const server = (flags?: string) => directSftpServer(flags);
  await conformance('sftp with retry, limit and log', server(), wrapped);
  await conformance('sftp, every third call failing before', server(), faulty({ kind: 'fail_before' }));
  await conformance('sftp, every third answer lost', server(), faulty({ kind: 'fail_after' }));
  await conformance('sftp, every third write torn', server(), faulty({ kind: 'torn_write' }));
  await conformance('sftp of a server with no extensions', server(hidden), plain, true);
} else {
  test('storage conformance: sftp', { skip }, () => undefined);
}
