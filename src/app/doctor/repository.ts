import { isAbsolute } from 'node:path';
import { byteSize } from '../../kernel/byte-size.ts';
import { reasonOf } from '../../kernel/errors/failure.ts';
import { freeBytes } from '../../storage/fs/free-space.ts';
import { parseLocation } from '../../storage/open.ts';
import type { Storage } from '../../storage/port.ts';
import type { Finding } from '../../sources/port.ts';
import { openAndTell, openPlace, repositoryOrigin, type App } from '../compose.ts';
import { unattendedHint } from '../passphrase.ts';
import { findingOf } from './finding.ts';

const gibibyte = 2 ** 30;
const check = 'repository';

const onlyTyped: Finding = {
  check: 'unattended runs',
  level: 'warning',
  message:
    'the passphrase was typed; cron, systemd and whatever else nobody sits at cannot open the repository',
  mend: unattendedHint,
};

/** Whether it is there, opens, can be written, and has room. */
export async function checkRepository(app: App): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  try {
    const { repository, found } = await openAndTell(app);
    await using _repository = repository;
    const { location } = repository.storage;
    const names = await repository.names({ signal: app.signal });
    findings.push({
      check,
      level: 'ok',
      message: `${location} (from ${repositoryOrigin(app)}) opens; backups in it: ${names.length}`,
    });
    if (repository.info.encrypted) {
      const keys = await repository.keys.list();
      findings.push({ check: 'keys', level: 'ok', message: `${keys.length} of them can be read` });
    }
    if (found?.source === 'terminal') findings.push(onlyTyped);
    findings.push(...(await placeFindings(repository.storage, app.signal)));
  } catch (error) {
    app.signal.throwIfAborted();
    return [findingOf(check, error)];
  }
  findings.push(await writable(app));
  const space = await freeSpace(app);
  if (space !== undefined) findings.push(space);
  return findings;
}

/** How the place is set up, where there is more to know of it than that it works. */
async function placeFindings(storage: Storage, signal: AbortSignal): Promise<readonly Finding[]> {
  if (storage.describe === undefined) return [];
  const check = 'repository place';
  const { facts, concerns } = await storage.describe({ signal });
  const told = Object.entries(facts).map(([fact, value]) => `${fact.replaceAll('_', ' ')} ${value}`);
  return [
    { check, level: 'ok', message: told.join(', ') },
    ...concerns.map(({ message, mend }): Finding => ({
      check,
      level: 'warning',
      message,
      ...(mend === undefined ? {} : { mend }),
    })),
  ];
}

async function writable(app: App): Promise<Finding> {
  try {
    // Opening with `create` proves it by writing a file and removing it again.
    await (await openPlace(app, { create: true })).close();
    return { check: 'repository writable', level: 'ok', message: 'a file could be written' };
  } catch (error) {
    return findingOf('repository writable', error);
  }
}

async function freeSpace(app: App): Promise<Finding | undefined> {
  const { cwd, home } = app.machine;
  const place = parseLocation(app.config.repository, { cwd, home });
  if (place.scheme !== 'file' || !isAbsolute(place.directory)) return undefined;
  try {
    const free = await freeBytes(place.directory);
    const message = `${byteSize(free)} free`;
    if (free >= gibibyte) return { check: 'free space', level: 'ok', message };
    return {
      check: 'free space',
      level: 'warning',
      message,
      mend: 'free some space, or name another place with --repo',
    };
  } catch (error) {
    return {
      check: 'free space',
      level: 'warning',
      message: `cannot be told: ${reasonOf(error)}`,
      mend: 'check it by hand: df -h',
    };
  }
}
