import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdir, readdir, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { removeLeftBehind } from '../../src/kernel/left-behind.ts';
import { tempDirectory } from '../../testing/temp.ts';
import { runInProcess } from '../cli/in-process.ts';
import { sandbox, type Ran, type Sandbox } from '../cli/program-runner.ts';
import { shell } from './support.ts';

/** The id of a process that is no more. */
const gone = spawnSync('true').pid;
const hours = (count: number): Date => new Date(Date.now() - count * 3_600_000);

async function old(path: string, age = hours(25)): Promise<void> {
  await utimes(path, age, age);
}

async function oldFile(path: string, age?: Date): Promise<void> {
  await writeFile(path, 'half');
  await old(path, age);
}

async function oldDirectory(path: string, age?: Date): Promise<void> {
  await mkdir(path);
  await oldFile(join(path, 'names'), age);
  await old(path);
}

describe('what killed processes have left', () => {
  let box: Sandbox;
  before(async () => {
    box = await sandbox();
    await shell('echo hello > f && tar -cf some.tar f', box.path);
    assert.equal((await run('init', '--no-encryption')).code, 0);
  });
  after(() => box[Symbol.asyncDispose]());
  const run = (...args: string[]): Promise<Ran> =>
    runInProcess(box, args, {
      env: { HOLDFAST_REPOSITORY: box.at('r'), HOLDFAST_TEMP_DIRECTORY: box.at('temporary') },
    });

  it('goes when it is a day old, matches, and its process is gone; and nothing else', async () => {
    await using directory = await tempDirectory();
    const at = (name: string): string => join(directory.path, name);
    await oldFile(at(`.a.partial-${gone}-0a`));
    await oldDirectory(at(`d.partial-${gone}-0a`));
    const staying = [
      `young.partial-${gone}-0a`,
      `written.partial-${gone}-0a`,
      `alive.partial-${process.pid}-0a`,
      `link.partial-${gone}-0a`,
      `other-${gone}-0a`,
    ];
    await oldFile(at(staying[0] ?? ''), hours(23));
    await oldDirectory(at(staying[1] ?? ''), hours(1));
    await oldFile(at(staying[2] ?? ''));
    await shell(
      `ln -s 'other-${gone}-0a' '${staying[3]}' && touch -h -d '2 days ago' '${staying[3]}'`,
      directory.path,
    );
    await oldFile(at(staying[4] ?? ''));
    await removeLeftBehind(directory.path, /\.partial-(\d+)-[0-9a-f]+$/, Date.now());
    assert.deepEqual((await readdir(directory.path)).toSorted(), staying.toSorted());
    await removeLeftBehind(at('missing'), /(\d+)/, Date.now());
  });

  it('is swept up by the next import of a tar file, and the next export to the same directory', async () => {
    await mkdir(box.at('temporary'));
    await oldDirectory(box.at('temporary', `holdfast-import-${gone}-Ab3xY9`));
    await oldDirectory(box.at('temporary', `holdfast-import-${process.pid}-Ab3xY9`));
    const imported = await run('import', 'some.tar');
    assert.equal(imported.code, 0, imported.stderr);
    assert.deepEqual(await readdir(box.at('temporary')), [`holdfast-import-${process.pid}-Ab3xY9`]);
    await mkdir(box.at('out'));
    await oldFile(box.at('out', `.some.tar.gz.partial-${gone}-0123456789ab`));
    await oldFile(box.at('out', `.some.tar.gz.partial-${process.pid}-0123456789ab`));
    await oldFile(box.at('out', '.mine.partial'));
    assert.equal((await run('export', 'latest', '--to', 'out', '--dry-run')).code, 0);
    assert.equal((await readdir(box.at('out'))).length, 3);
    const exported = await run('export', 'latest', '--to', 'out');
    assert.equal(exported.code, 0, exported.stderr);
    assert.deepEqual((await readdir(box.at('out'))).filter((name) => name.startsWith('.')).toSorted(), [
      '.mine.partial',
      `.some.tar.gz.partial-${process.pid}-0123456789ab`,
    ]);
  });

  it('has names that the sweep knows', async () => {
    await shell('seq 1 3000000 > big && tar -cf big.tar big', box.path);
    const env = { HOLDFAST_REPOSITORY: box.at('r'), HOLDFAST_TEMP_DIRECTORY: box.at('killed') };
    await mkdir(box.at('killed'));
    const killed = box.start(['import', 'big.tar'], { env });
    while ((await readdir(box.at('killed'))).every((name) => !name.startsWith('holdfast-import-')))
      await new Promise(setImmediate);
    killed.kill('SIGKILL');
    await killed.done;
    const left = (await readdir(box.at('killed'))).filter((name) => name.startsWith('holdfast-import-'));
    assert.match(left.join(), new RegExp(`^holdfast-import-${killed.pid}-\\w{6}$`));
    await removeLeftBehind(box.at('killed'), /^holdfast-import-(\d+)-/, Date.now() + 25 * 3_600_000);
    assert.deepEqual(
      (await readdir(box.at('killed'))).filter((name) => name.startsWith('holdfast-import-')),
      [],
    );
  });
});
