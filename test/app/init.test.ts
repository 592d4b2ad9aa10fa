import assert from 'node:assert/strict';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { describe, it } from 'node:test';
import { withApp, type Outcome } from '../../src/app/compose.ts';
import { createIn, init } from '../../src/app/init.ts';
import { list } from '../../src/app/list.ts';
import { openFsStorage } from '../../src/storage/fs/open.ts';
import { crashAtMutation, type FaultPlan } from '../../src/storage/wrap/fault-plan.ts';
import { withFaults } from '../../src/storage/wrap/faults.ts';
import { sandbox } from '../cli/program-runner.ts';
import { contextOf, rejection, testMachine, type TestMachine } from './machine.ts';

async function keyFiles(test: TestMachine): Promise<string[]> {
  return readdir(test.at('home', '.config', 'holdfast', 'keys')).catch(() => []);
}

/** Creates an encrypted repository without a passphrase in `r`, through a storage of that plan. */
async function createThrough(test: TestMachine, plan: FaultPlan): Promise<Outcome> {
  const storage = withFaults(await openFsStorage(test.at('r'), { create: true }), plan);
  return withApp({ repo: 'r' }, contextOf(test), null, (app) => createIn(app, storage, true, {}));
}

describe('a crash of init without a passphrase', () => {
  it('at any write leaves no repository, or one that opens', async () => {
    let finished = false;
    for (let mutation = 1; !finished; mutation += 1) {
      assert.ok(mutation < 10, 'it never got through');
      for (const applied of [false, true]) {
        await using test = await testMachine();
        finished = await createThrough(test, crashAtMutation(mutation, applied)).then(
          () => true,
          () => false,
        );
        const there = (await readdir(test.at('r'))).includes('holdfast.json');
        const again = await init({ repo: 'r' }, contextOf(test));
        assert.equal(again.created, !there, `write ${mutation}, ${applied ? 'done' : 'not done'}`);
        assert.equal(again.passphrase, 'key file');
        assert.ok((await keyFiles(test)).includes(`${again.repository.id}.key`));
        assert.deepEqual((await list({ repo: 'r' }, contextOf(test))).backups, []);
      }
    }
  });
});

describe('an init that fails', () => {
  it('leaves no key file when there is surely no repository', async () => {
    await using test = await testMachine();
    const plan: FaultPlan = ({ mutation }) => (mutation === 2 ? { kind: 'fail_before' } : undefined);
    assert.equal((await rejection(createThrough(test, plan))).errorName, 'storage_unreachable');
    assert.deepEqual(await keyFiles(test), []);
    assert.equal((await init({ repo: 'r' }, contextOf(test))).created, true);
  });

  it('keeps it when the repository is there after all', async () => {
    await using test = await testMachine();
    const plan: FaultPlan = ({ mutation }) => (mutation === 2 ? { kind: 'fail_after' } : undefined);
    assert.equal((await rejection(createThrough(test, plan))).errorName, 'storage_unreachable');
    assert.equal((await keyFiles(test)).length, 1);
    assert.equal((await init({ repo: 'r' }, contextOf(test))).created, false);
  });
});

describe('init of a repository that is there', () => {
  it('writes another recovery kit when it is told where', async () => {
    await using test = await testMachine();
    const made = await init({ repo: 'r' }, contextOf(test));
    assert.equal((await init({ repo: 'r' }, contextOf(test))).recovery_kit, null);
    const again = await init({ repo: 'r', recoveryKit: 'kit.md' }, contextOf(test));
    assert.equal(again.recovery_kit, test.at('kit.md'));
    const kit = await readFile(test.at('kit.md'), 'utf8');
    assert.ok(kit.includes(made.repository.id) && kit.includes(made.key_file ?? '-'));
    // What restores without Holdfast lies beside it, and is not written again.
    const restorer = await readFile(new URL('../../recovery/holdfast-restore.mjs', import.meta.url), 'utf8');
    assert.equal(await readFile(test.at('holdfast-restore.mjs'), 'utf8'), restorer);
    assert.match(kit, /^ {4}node holdfast-restore\.mjs restore \.\/copy latest --to \.\/restored$/m);
    // A name in a public registry could be anybody's: what is installed must be a file that was kept.
    assert.match(kit, /npm install --global \.\/holdfast-\d+\.\d+\.\d+\S*\.tgz/);
    assert.doesNotMatch(kit, /holdfast@|npm install --global holdfast/);
  });

  it('has a line that restores each source, of its kind', async () => {
    await using test = await testMachine();
    const kitOf = async (name: string): Promise<string> => {
      await init({ repo: 'r', recoveryKit: name }, contextOf(test));
      return await readFile(test.at(name), 'utf8');
    };
    const linesOf = (kit: string): string[] =>
      kit.split('\n').flatMap((line) => /^ {4}holdfast (?!list)(.*) --repo '.*\/r'$/.exec(line)?.[1] ?? []);
    assert.deepEqual(linesOf(await kitOf('none.md')), [
      'verify --read-data',
      'restore latest:DATABASE_SOURCE --to postgres://USER@HOST/NEW_DATABASE',
      'restore latest:SQLITE_SOURCE --to ./sqlite-restored/',
      'restore latest:FILES_SOURCE --to ./files-restored',
      'restore latest:CLUSTER_SOURCE --to ./cluster-restored --at-end',
    ]);
    await writeFile(
      test.at('holdfast.yaml'),
      `sources:
  uploads: { type: files, paths: [./uploads] }
  sessions: { type: sqlite, paths: [./sessions.db] }
`,
    );
    const without = await kitOf('two.md');
    assert.deepEqual(linesOf(without), [
      'verify --read-data',
      'restore latest:uploads --to ./uploads-restored',
      'restore latest:sessions --to ./sessions-restored/',
    ]);
    assert.doesNotMatch(without, /postgres/i);
    await writeFile(
      test.at('holdfast.yaml'),
      `sources:
  shop: { type: postgres, url: postgres://u@h/shop }
  both: { type: postgres, url: postgres://u@h/x, databases: [one, the other] }
  every: { type: postgres, url: postgres://u@h/x, databases: ['*'] }
`,
    );
    const to = '--to postgres://USER@HOST/NEW_DATABASE';
    const withTools = await kitOf('three.md');
    assert.deepEqual(linesOf(withTools), [
      'verify --read-data',
      `restore latest:shop ${to}`,
      `restore latest:both --only 'database=one' ${to}`,
      `restore latest:both --only 'database=the other' ${to}`,
      `restore latest:every --only 'database=DATABASE' ${to}`,
    ]);
    assert.match(withTools, /postgresql-client/);
    assert.doesNotMatch(withTools, /--at/);
    await writeFile(
      test.at('holdfast.yaml'),
      'sources: { main: { type: postgres-cluster, url: postgres://u@h/postgres } }\n',
    );
    const ofCluster = await kitOf('four.md');
    // Without it all WAL behind the backup would be given away.
    assert.equal(linesOf(ofCluster).at(-1), 'restore latest:main --to ./main-restored --at-end');
    assert.match(ofCluster, /`--at 'TIME'`.*`--tablespace OID=DIRECTORY`; `holdfast info latest:main /);
  });
});

describe('what makes guesses of a passphrase slow', () => {
  async function memoryOf(env: Readonly<Record<string, string>>): Promise<number> {
    await using box = await sandbox();
    const { code } = await box.run(['init', '--repo', 'r'], { env, usualKeys: true });
    assert.equal(code, 0);
    const [name = ''] = await readdir(box.at('r', 'keys'));
    const { kdf } = JSON.parse(await readFile(box.at('r', 'keys', name), 'utf8')) as {
      readonly kdf: { readonly memory_kib: number };
    };
    return kdf.memory_kib;
  }

  it('is spent on what a person chose', async () => {
    assert.equal(await memoryOf({ HOLDFAST_PASSPHRASE: 'correct horse battery staple' }), 65_536);
  });

  it('is not spent on a random key, which every command would wait for', async () => {
    assert.equal(await memoryOf({}), 64);
  });
});
