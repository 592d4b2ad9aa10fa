import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, mkdir, readdir, writeFile } from 'node:fs/promises';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { CommandProgress } from '../../src/cli/progress.ts';
import { systemTerminal } from '../../src/cli/terminal.ts';
import { ManualClock } from '../../testing/clock.ts';
import { testMachine } from '../app/machine.ts';
import { play } from './play.ts';
import { sandbox } from './program-runner.ts';

describe('at a terminal', () => {
  it('init asks for the passphrase twice, list once, and neither shows it', async () => {
    await using test = await testMachine();
    const made = await play(
      test.machine,
      ['init', '--repo', 'r'],
      [
        ['New passphrase', 'correct horsx\u007fe\r'],
        ['The same again', 'correct horse\r'],
      ],
    );
    assert.equal(made.code, 0, made.stderr);
    assert.ok(!made.stderr.includes('horse'));
    const listed = await play(test.machine, ['list', '--repo', 'r'], [['Passphrase of', 'correct horse\n']]);
    assert.equal(listed.code, 0, listed.stderr);
    const wrong = await play(test.machine, ['list', '--repo', 'r'], [['Passphrase of', 'wrong horse\n']]);
    assert.equal(wrong.code, 10);
  });

  it('two different passphrases make no repository', async () => {
    await using test = await testMachine();
    const { code, stderr } = await play(
      test.machine,
      ['init', '--repo', 'r'],
      [
        ['New passphrase', 'one good one\r'],
        ['The same again', 'another one\r'],
      ],
    );
    assert.equal(code, 2);
    assert.match(stderr, /error\[HF-1117\]/);
    await assert.rejects(access(test.at('r')));
  });

  it('a failed init leaves what was there before it, and nothing else', async () => {
    await using test = await testMachine();
    await mkdir(test.at('there'));
    for (const repo of ['there', 'there/deep/er', 'new']) {
      const short = [
        ['New passphrase', 'short\r'],
        ['The same again', 'short\r'],
      ] as [string, string][];
      const { code, stderr } = await play(test.machine, ['init', '--repo', repo], short);
      assert.equal(code, 2, stderr);
      assert.match(stderr, /error\[HF-3107\]/);
      assert.deepEqual(await readdir(test.at('there')), []);
    }
    await assert.rejects(access(test.at('new')));
    const { code } = await play(test.machine, ['init'], [['New passphrase', 'half\u0003']]);
    assert.equal(code, 130);
    await assert.rejects(access(test.at('backups')));
  });

  it('an empty answer to init makes a key file, and what runs unattended then works', async () => {
    await using test = await testMachine();
    await mkdir(test.at('data'));
    await writeFile(test.at('data', 'a'), 'a');
    await using box = await sandbox();
    const made = await play(test.machine, ['init'], [[`${test.at('home')}/.config/holdfast/keys`, '\r']]);
    assert.equal(made.code, 0, made.stderr);
    assert.match(made.stderr, /empty: a random key/);
    assert.match(made.stderr, /random key was made and kept in .*\.key/);
    assert.doesNotMatch(made.stderr, /unattended/);
    // As cron would: no terminal, and nothing set.
    const night = await box.run(['backup', '--from', 'files:data', '--quiet'], {
      env: { HOME: test.at('home') },
      cwd: test.machine.cwd,
    });
    assert.deepEqual([night.code, night.stderr], [0, '']);
    const checked = await play(test.machine, ['doctor'], []);
    assert.doesNotMatch(checked.stdout + checked.stderr, /unattended/);
  });

  it('who types a passphrase is told what unattended runs need, by init and by doctor', async () => {
    await using test = await testMachine();
    const twice = [
      ['New passphrase', 'correct horse\r'],
      ['The same again', 'correct horse\r'],
    ] as [string, string][];
    const made = await play(test.machine, ['init', '--repo', 'r'], twice);
    assert.match(
      made.stderr,
      /warning: .*unattended.*\nhint: .*key add --new-passphrase-file .*passphrase_file/,
    );
    const asked = await play(test.machine, ['doctor', '--repo', 'r'], [['Passphrase of', 'correct horse\r']]);
    assert.match(asked.stdout + asked.stderr, /unattended runs.*\n.*mend: .*key add --new-passphrase-file/);
  });

  it('Ctrl-C at a question exits with 130', async () => {
    await using test = await testMachine();
    const { code, stderr } = await play(
      test.machine,
      ['init', '--repo', 'r'],
      [['New passphrase', 'half\u0003']],
    );
    assert.equal(code, 130);
    assert.match(stderr, /error\[HF-1003\]/);
  });
});

describe('without a terminal', () => {
  it('a question that only a person could answer exits with 2 and names the flag', async () => {
    await using box = await sandbox();
    const env = { HOLDFAST_PASSPHRASE: 'correct horse' };
    assert.equal((await box.run(['init', '--repo', 'r'], { env })).code, 0);
    const { code, stderr } = await box.run(['key', 'add', '--repo', 'r'], { env });
    assert.equal(code, 2);
    assert.match(stderr, /error\[HF-1002\]: .*\nhint: pass --new-passphrase-file FILE/);
  });
});

describe('the default place', () => {
  it('gives way, loudly, to a directory of the user’s own, and later commands find it', async () => {
    await using box = await sandbox();
    const env = { HOLDFAST_PASSPHRASE: 'correct horse' };
    await writeFile(box.at('backups'), 'a file');
    const made = await box.run(['init'], { env });
    assert.equal(made.code, 0, made.stderr);
    assert.match(made.stderr, /^warning: .*backups cannot be used .*\nhint: to use /);
    assert.ok(
      (await readdir(box.at('home', '.local', 'share', 'holdfast', 'backups'))).includes('holdfast.json'),
    );
    const listed = await box.run(['list'], { env });
    assert.equal(listed.code, 0);
    assert.match(listed.stderr, /warning: there is no repository in .*; using the one in /);
  });

  it('does not, when somebody named the place', async () => {
    await using box = await sandbox();
    await writeFile(box.at('backups'), 'a file');
    const made = await box.run(['init', '--repo', './backups'], {
      env: { HOLDFAST_PASSPHRASE: 'correct horse' },
    });
    assert.equal(made.code, 4, made.stderr);
    await assert.rejects(access(box.at('home', '.local', 'share')));
  });
});

describe('streams', () => {
  it('a reader who leaves early is no error', async () => {
    await using box = await sandbox();
    await mkdir(box.home);
    const main = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));
    for (const args of [['config', 'template'], ['--help'], ['key', 'add', '--help'], ['--version']]) {
      const child = spawn(process.execPath, [main, ...args], {
        env: { HOME: box.home },
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      child.stdout.destroy();
      let stderr = '';
      child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
      const [code] = (await once(child, 'close')) as [number];
      assert.deepEqual([code, stderr], [0, ''], args.join(' '));
    }
  });
});

describe('colour', () => {
  const streams = {
    stdin: { isTTY: true },
    stdout: { isTTY: true },
    stderr: { isTTY: true },
  } as NodeJS.Process;
  const colourWith = (env: Readonly<Record<string, string>>) => systemTerminal(streams, env).colour;

  it('is for screens, and not for those who set NO_COLOR', () => {
    assert.equal(colourWith({}), true);
    assert.equal(colourWith({ NO_COLOR: '' }), true);
    assert.equal(colourWith({ NO_COLOR: '1' }), false);
    assert.equal(colourWith({ TERM: 'dumb' }), false);
    const piped = { ...streams, stderr: { isTTY: false } } as NodeJS.Process;
    assert.deepEqual([systemTerminal(piped, {}).colour, systemTerminal(piped, {}).screen], [false, false]);
  });
});

describe('progress', () => {
  it('shows bytes, rate, time left and the new part on a screen, and a line now and then elsewhere', async () => {
    const clock = new ManualClock();
    const screen: string[] = [];
    const lines: string[] = [];
    const events: Readonly<Record<string, unknown>>[] = [];
    const progress = new CommandProgress('shop', clock, {
      screen: (line) => screen.push(line),
      lines: (line) => lines.push(line),
      json: (event) => events.push(event),
    });
    progress.total(100 * 2 ** 20);
    progress.phase('dumping public.orders');
    for (let second = 0; second < 20; second += 1) {
      await clock.advance(1000);
      progress.stored(2 ** 19);
      progress.advance(2 ** 20);
    }
    assert.equal(
      screen.at(-1),
      'shop · 20.0 MiB of about 100.0 MiB · 1.0 MiB/s · about 80 s left · 10.0 MiB new (50%) · dumping public.orders',
    );
    assert.equal(lines.length, 2);
    const last = events.at(-1) ?? {};
    assert.deepEqual(
      [last['type'], last['bytes_done'], last['bytes_total'], last['bytes_new'], last['eta_seconds']],
      ['progress', 20 * 2 ** 20, 100 * 2 ** 20, 10 * 2 ** 20, 80],
    );
    progress[Symbol.dispose]();
    assert.equal(screen.at(-1), '');
  });
});
