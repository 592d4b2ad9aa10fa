import { lstat, readdir } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { exchangeMark, replacingMark, restoringMark, shortName, type Target } from './target.ts';

/** What restores to this target have left that were killed, and what it is. */
export async function remains({ path, found, above }: Target): Promise<string[]> {
  const beside = dirname(path);
  const name = shortName(Buffer.from(basename(path))).toString();
  const left: string[] = [];
  if (beside === above) {
    for (const one of await namesIn(beside, `${name}${restoringMark}`)) left.push(unfinished(one));
    for (const one of await namesIn(beside, `${name}${exchangeMark}`))
      left.push(await exchangedFor(one, path));
    for (const one of await namesIn(beside, `${name}${replacingMark}`))
      left.push(...(await madeWay(one, path)));
  }
  if (found !== 'full') return left;
  for (const one of await namesIn(path, restoringMark)) left.push(unfinished(one));
  for (const one of await namesIn(path, replacingMark)) left.push(...(await madeWay(one, path)));
  return left;
}

function unfinished(path: string): string {
  return `${path} is left of a restore that was ended; unless one is running, remove it`;
}

async function exchangedFor(left: string, target: string): Promise<string> {
  return (await isRestored(left))
    ? `${left} is a whole restore that was ended before it took the place of ${target}; unless one is running, remove it or give it that name`
    : `${left} is what was at ${target} before a restore took its place that was ended then; it is kept for you`;
}

async function madeWay(directory: string, target: string): Promise<string[]> {
  const left = [
    `${directory} has what was in ${target}, under the same paths, before a restore of chosen paths that was ended in the middle; unless one is running, some of these are restored and others are not`,
  ];
  for (const one of await namesIn(directory, exchangeMark))
    left.push(
      (await isRestored(one))
        ? `${one} is restored and did not get to its place in ${target}`
        : `${one} is what was in ${target} at the path that was restored last`,
    );
  return left;
}

/** The name has the inode of what was restored: anything else there is what that changed places with. */
async function isRestored(path: string): Promise<boolean> {
  const info = await lstat(path, { bigint: true }).catch(() => undefined);
  return info !== undefined && path.endsWith(`-${info.ino}`);
}

async function namesIn(directory: string, beginning: string): Promise<string[]> {
  const names = await readdir(directory).catch(() => []);
  return names.filter((name) => name.startsWith(beginning)).map((name) => join(directory, name));
}
