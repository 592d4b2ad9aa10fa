import { isAbsolute } from 'node:path';
import { byteSize } from '../../kernel/byte-size.ts';
import { isFailure, reasonOf } from '../../kernel/errors/failure.ts';
import { freeBytes } from '../../storage/fs/free-space.ts';
import { parseLocation } from '../../storage/open.ts';
import type { Storage } from '../../storage/port.ts';
import { tryStorage } from '../../storage/trial.ts';
import type { Finding } from '../../sources/port.ts';
import { openAndTell, openPlace, repositoryOrigin, type App } from '../compose.ts';
import { unattendedHint } from '../passphrase.ts';
import { appAt, copyPlaces, type Place } from '../places.ts';
import { randomHex } from '../random-hex.ts';
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

const onlyAdds: Finding = {
  check: 'agent',
  level: 'ok',
  message: 'with these credentials backups can be added, and nothing can be read or removed',
};

/** Whether it is there, opens, can be written, and has room; and the same of its copies. */
export async function checkRepository(app: App): Promise<readonly Finding[]> {
  const findings = [...(await checkPrimary(app))];
  for (const place of copyPlaces(app)) findings.push(...(await checkCopy(app, place)));
  return findings;
}

/** A copy that is not there yet is made by the next backup or sync; whatever else is amiss is not the end of backups. */
async function checkCopy(app: App, place: Place): Promise<readonly Finding[]> {
  const check = `copy ${place.name}`;
  try {
    const { repository } = await openAndTell(appAt(app, place));
    await using _repository = repository;
    const names = await repository.names({ signal: app.signal });
    const { location } = repository.storage;
    const trial = await trialFindings(app, repository.storage);
    return [
      { check, level: 'ok', message: `${location} opens; backups in it: ${names.length}` },
      ...trial.map((finding) => ({ ...finding, check })),
    ];
  } catch (error) {
    app.signal.throwIfAborted();
    const isNew = isFailure(error, 'repository_missing') || isFailure(error, 'storage_missing');
    if (isNew) return [{ check, level: 'ok', message: `${place.location} is empty; the next sync fills it` }];
    return [{ ...findingOf(check, error), level: 'warning' }];
  }
}

async function checkPrimary(app: App): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  try {
    const { repository, found } = await openAndTell(app, 'add');
    await using _repository = repository;
    const { location } = repository.storage;
    const names = await repository.names({ signal: app.signal });
    findings.push({
      check,
      level: 'ok',
      message: `${location} (from ${repositoryOrigin(app)}) opens; backups in it: ${names.length}`,
    });
    // Whatever else is tried below is read and removed again.
    if (repository.isAgent) return [...findings, onlyAdds];
    if (repository.info.encrypted) {
      const keys = await repository.keys.list();
      findings.push({ check: 'keys', level: 'ok', message: `${keys.length} of them can be read` });
    }
    if (found?.source === 'terminal') findings.push(onlyTyped);
    findings.push(...(await placeFindings(repository.storage, app.signal)));
    findings.push(...(await trialFindings(app, repository.storage)));
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

/** Whether the place does what a repository needs of any storage, tried with a few small objects. */
async function trialFindings({ machine, signal }: App, storage: Storage): Promise<readonly Finding[]> {
  const check = 'repository trial';
  const { held, failed, left } = await tryStorage(storage, {
    id: randomHex(8),
    nowMs: machine.clock.now(),
    signal,
  });
  const findings: Finding[] = failed.map(({ what, reason }) => ({
    check,
    level: 'error',
    message: `${storage.location} does not hold that ${what}: ${reason}`,
    mend: 'a place that does not keep this loses backups: look what the reason says, or take another place',
  }));
  if (failed.length === 0)
    findings.push({
      check,
      level: 'ok',
      message: `${held.length} promises that every storage must keep are kept`,
    });
  if (left.length > 0)
    findings.push({
      check,
      level: 'warning',
      message: `objects of the trial could not be removed: ${left.slice(0, 3).join(', ')}`,
      mend: 'remove what lies below trial/ by hand; prune will not be able to remove anything either',
    });
  return findings;
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
