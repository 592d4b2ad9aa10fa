import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, before, describe, it } from 'node:test';
import { makeStrangeTree } from '../../testing/strange-tree.ts';
import { runInProcess } from '../cli/in-process.ts';
import { sandbox, type Sandbox } from '../cli/program-runner.ts';
import { differences } from '../files/restore-support.ts';
import { bareMachine, type BareMachine } from './kit.ts';

const seed = 20261122;

for (const encrypted of [true, false]) {
  describe(`files and databases out of ${encrypted ? 'an encrypted' : 'a plain'} repository`, () => {
    let box: Sandbox;
    let machine: BareMachine;
    let key: readonly string[] = [];
    const passphrase = { HOLDFAST_PASSPHRASE_FILE: '' };
    const program = async (...args: string[]): Promise<void> => {
      const env = encrypted ? passphrase : { HOLDFAST_ENCRYPTION_ENABLED: 'false' };
      const ran = await runInProcess(box, [...args, '--repo', box.at('r')], { env });
      assert.equal(ran.code, 0, ran.stderr);
    };
    const kit = async (...args: string[]) => await machine.run([...args, ...key]);

    before(async () => {
      box = await sandbox();
      machine = await bareMachine();
      passphrase.HOLDFAST_PASSPHRASE_FILE = box.at('passphrase');
      writeFileSync(box.at('passphrase'), 'Pässwörter für alle\n'.normalize('NFD'));
      if (encrypted) key = ['--passphrase-file', box.at('nfc')];
      writeFileSync(box.at('nfc'), 'Pässwörter für alle\n'.normalize('NFC'));
      await program('init');
    });
    after(async () => {
      await machine[Symbol.asyncDispose]();
      execFileSync('chmod', ['-R', 'u+rwX', box.at('tree')]);
      await box[Symbol.asyncDispose]();
    });

    it(`brings the strangest tree back as it was (seed ${seed})`, async () => {
      const tree = box.at('tree');
      makeStrangeTree(tree, { files: 300, crowd: 50, hollowBytes: 50_000_000, seed });
      symlinkSync('/etc', join(tree, 'away'));
      await program('backup', '--from', `files:${tree}`);
      const ran = await kit('restore', box.at('r'), 'latest', '--to', 'out');
      assert.equal(ran.code, 0, ran.stderr);
      assert.equal(await differences(tree, machine.at('out')), '');
      const hollow = statSync(machine.at('out', 'hollow', 'hollow-0'));
      assert.ok(hollow.blocks * 512 < hollow.size / 2, 'holes stay holes');
      assert.equal(ran.stderr.includes('extended attributes'), false);
    });

    // The rest is the same with and without encryption.
    if (!encrypted) return;

    it('brings one directory back, with a file that only a hard link from elsewhere leads to', async () => {
      const tree = box.at('linked');
      mkdirSync(join(tree, 'a'), { recursive: true });
      mkdirSync(join(tree, 'b', 'c'), { recursive: true });
      writeFileSync(join(tree, 'a', 'file'), 'content');
      linkSync(join(tree, 'a', 'file'), join(tree, 'b', 'one'));
      linkSync(join(tree, 'a', 'file'), join(tree, 'b', 'two'));
      writeFileSync(join(tree, 'b', 'c', 'other'), 'other');
      await program('backup', '--from', `files:${tree}`);
      const ran = await kit(
        'restore',
        box.at('r'),
        'latest',
        '--to',
        'part',
        '--only',
        'b/one',
        '--only',
        'b/two',
        '--only',
        'b/c',
      );
      assert.equal(ran.code, 0, ran.stderr);
      assert.deepEqual(readdirSync(machine.at('part')), ['b']);
      assert.equal(readFileSync(machine.at('part/b/two'), 'utf8'), 'content');
      assert.equal(lstatSync(machine.at('part/b/one')).ino, lstatSync(machine.at('part/b/two')).ino);
      assert.equal(readFileSync(machine.at('part/b/c/other'), 'utf8'), 'other');
    });

    it('brings SQLite databases back, byte for byte as the program does', async () => {
      mkdirSync(box.at('db', 'deep er'), { recursive: true });
      const files = [box.at('db', 'shop.db'), box.at('db', 'deep er', '100%.db')];
      for (const [index, file] of files.entries()) {
        using database = new DatabaseSync(file);
        database.exec('PRAGMA journal_mode = WAL; CREATE TABLE t (i INTEGER PRIMARY KEY, x TEXT)');
        database.exec(`WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${2000 * (index + 1)})
          INSERT INTO t SELECT i, hex(i * 12345) FROM n`);
      }
      await program('backup', '--from', `sqlite:${box.at('db', '**', '*.db')}`);
      {
        using database = new DatabaseSync(files[0] ?? '');
        database.exec("UPDATE t SET x = 'changed' WHERE i % 500 = 0");
      }
      // Pages of the backup before, and changed ones between them.
      await program('backup', '--from', `sqlite:${box.at('db', '**', '*.db')}`);
      const ran = await kit('restore', box.at('r'), 'latest', '--to', 'databases');
      assert.equal(ran.code, 0, ran.stderr);
      await program('restore', 'latest', '--to', `${box.at('by-program')}/`);
      for (const file of ['shop.db', 'deep er/100%.db']) {
        const restored = machine.at('databases', file);
        assert.deepEqual(readFileSync(restored), readFileSync(box.at('by-program', file)));
        assert.equal(
          execFileSync('sqlite3', [restored, 'PRAGMA integrity_check'], { encoding: 'utf8' }),
          'ok\n',
        );
        const sum = 'SELECT count(*), sum(length(x)) FROM t';
        using one = new DatabaseSync(restored);
        using other = new DatabaseSync(box.at('db', file));
        assert.deepEqual(one.prepare(sum).get(), other.prepare(sum).get());
      }
    });
  });
}
