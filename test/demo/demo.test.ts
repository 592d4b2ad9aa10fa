import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import type { Kept } from '../../src/app/demo/keep.ts';
import { isAlive } from '../../src/app/local-postgres/processes.ts';
import { pictureText } from '../../scripts/terminal-picture.ts';
import { withoutPostgres } from '../../testing/postgres-server.ts';
import { until } from '../../testing/until.ts';
import { sandbox, type Json, type Ran } from '../cli/program-runner.ts';

const options = { skip: withoutPostgres('system'), timeout: 180_000 };
const limitMs = 170_000;
const steps = [
  'shop',
  'init',
  'first_backup',
  'business_day',
  'second_backup',
  'disaster',
  'restore',
  'proof',
  'wal_stream',
  'cluster_backup',
  'orders',
  'drop',
  'recovery',
  'cluster_proof',
];

test('the demo tells its story, proves the restore and leaves nothing', options, async () => {
  await using box = await sandbox();
  const { code, stdout, stderr } = await box.run(['demo'], { limitMs });
  assert.equal(code, 0, stdout + stderr);
  for (const command of [
    'holdfast init',
    'holdfast backup shop sessions uploads',
    'rm -rf uploads',
    'holdfast restore latest:shop --to "$DATABASE_URL" --force',
    'holdfast restore latest:sessions --to data/sessions.db --force',
    'holdfast restore latest:uploads --to uploads',
    'holdfast wal stream --synchronous &',
    'holdfast backup cluster',
    'holdfast restore latest:cluster --to restored \\',
  ])
    assert.ok(stdout.includes(`   $ ${command}\n`), command);
  assert.match(
    stdout,
    /second backup\n.*\n(?: +\w+ .* read, .* stored\n){3}.* rows went .*\n +together \d+\.\d % of the first/,
  );
  assert.match(stdout, /shop +3 tables with [\d,]+ rows gone, [\d,]+ rows overwritten\n/);
  assert.match(stdout, /sessions +[\d,]+ rows gone\n +uploads +352 files gone\n/);
  assert.match(stdout, /sales\.orders +[\d,]+ +[0-9a-f]{16} +equal\n/);
  assert.match(stdout, /pg_dump --create .* equal\n/);
  assert.match(stdout, /sessions\.db: sessions +9,051 +[0-9a-f]{16} +equal\n/);
  assert.match(stdout, /uploads: .* +374 +[0-9a-f]{16} +equal\n +✓ all \d+ comparisons hold\n/);
  const [, at] = /the moment before was (\S+ \d\d:\d\d:\d\d\.\d{6}\+00)\n/.exec(stdout) ?? [];
  assert.ok(stdout.includes(`   > --at '${at}' --start\n`), 'it goes back to that moment');
  assert.match(stdout, /shop=# DROP TABLE .*\n +1 table with 15,390 rows gone\n/);
  assert.match(stdout, /orders\.list +240 +[0-9a-f]{16} +equal\n +sales\.orders +15,390 /);
  assert.match(stdout, /the 10 other tables .* equal\n +✓ all \d+ comparisons hold\n/);
  assert.deepEqual(tooLong(stdout), []);
  assert.doesNotMatch(stdout + stderr, /:[^/@\s]+@/, 'a password in a URL');
  assert.ok(!stdout.includes('\u001b'), 'no colours in a pipe');
  assert.deepEqual(
    shape(pictured()),
    shape(stdout),
    'docs/demo.svg is out of date: node scripts/render-demo.ts',
  );
  const [, directory = ''] = /files in (\S+)\n/.exec(stdout) ?? [];
  assert.match(directory, /holdfast-demo-/);
  assert.equal(existsSync(directory), false);
  assert.equal(existsSync(box.home), false, 'nothing is written into the home directory');
});

test(
  'one character in a row, one byte in a file and one recovered order make the demo fail; --keep leaves everything',
  options,
  async () => {
    await using box = await sandbox();
    const ran = await box.run(['demo', '--json', '--tamper', '--keep'], { limitMs });
    assert.equal(ran.code, 9, ran.stdout + ran.stderr);
    const summary = ran.lines().at(-1) ?? {};
    const kept = summary['kept'] as Kept;
    try {
      assert.deepEqual([summary['type'], summary['schema'], summary['ok']], ['summary', 1, false]);
      assert.equal((summary['error'] as Json)['code'], 'HF-1053');
      assert.match(ran.stderr, /^error\[HF-1053\]: 5 of \d+ comparisons of the demo did not hold/m);
      assert.deepEqual(stepsOf(ran), steps);
      const comparisons = summary['comparisons'] as Json[];
      assert.deepEqual([...new Set(comparisons.map(({ what }) => String(what)))].toSorted(), [
        'file content',
        'file tree',
        'fingerprint',
        'listed order',
        'pg_dump rows',
        'pg_dump statements',
        'recovered fingerprint',
        'recovered row count',
        'row count',
        'sequence',
        'sqlite fingerprint',
        'sqlite integrity',
        'sqlite rows',
        'sqlite schema',
      ]);
      const unequal = comparisons.filter(({ equal, before, after }) => equal !== true || before !== after);
      assert.deepEqual(
        unequal.map(({ what, name }) => `${what} ${name}`),
        [
          'pg_dump rows crm.addresses',
          'fingerprint crm.addresses',
          'file content products/kitchen/007.png',
          'listed order 15151',
          'recovered fingerprint sales.orders',
        ],
      );
      assert.ok(comparisons.some(({ name, before }) => name === 'sales.orders' && before === '15150'));
      const contents = new Map(
        comparisons.map(({ what, name, before }) => [`${what} ${name}`, before as unknown]),
      );
      assert.equal(contents.get('sqlite integrity sessions.db'), 'ok');
      assert.match(String(contents.get('file tree invoices/latest')), /^link .* to 2026-09$/);
      assert.match(String(contents.get('file content Größen und Maße.txt')), /^[0-9a-f]{64}$/);
      const sources = ['shop', 'sessions', 'uploads'];
      assert.deepEqual(
        (summary['backups'] as Json[]).map(({ source }) => source as unknown),
        [...sources, ...sources, 'cluster'],
      );
      assert.ok(Number(summary['second_backup_percent']) < 10);
      assert.equal(statSync(kept.env_file).mode & 0o777, 0o600);
      const [, password] = /^export PGPASSWORD=(.{10,})$/m.exec(readFileSync(kept.env_file, 'utf8')) ?? [];
      const shown = ran.stdout + ran.stderr + readFileSync(kept.readme, 'utf8');
      assert.ok(password !== undefined && !shown.includes(password), 'the password is shown');
      const listed = await inShell(kept, 'holdfast list --json');
      assert.equal((JSON.parse(listed) as { backups: unknown[] }).backups.length, 7);
      const gone = `psql "$DATABASE_URL" -Atc "SELECT to_regclass('sales.orders') IS NULL"`;
      assert.equal(await inShell(kept, gone), 't\n');
      const count = 'SELECT count(*) FROM sales.orders';
      assert.equal(await inShell(kept, `psql "$RESTORED_URL" -Atc "${count}"`), '15390\n');
      assert.match(await inShell(kept, 'wc -l orders.list'), /^240 /);
      const { at = '' } = ran.lines().find(({ type, step }) => type === 'step_done' && step === 'drop') ?? {};
      const anew = `holdfast restore latest:cluster --to again --start --at '${at}' --json | tail -n 1`;
      assert.ok(shown.includes(`--at '${at}'`), 'the moment is told');
      const { restored } = JSON.parse(await inShell(kept, anew)) as {
        restored: { started: { state: string } };
      };
      assert.equal(restored.started.state, 'open');
      const again = 'rm uploads/backdrop.png && holdfast restore latest:uploads --to uploads --force --json';
      assert.match(await inShell(kept, `${again} && ls uploads/backdrop.png`), /\nuploads\/backdrop\.png\n$/);
    } finally {
      const servers = ['server/data', 'restored', 'again']
        .filter((data) => existsSync(join(kept.directory, data, 'postmaster.pid')))
        .map((data) => pidOf(kept.directory, data));
      await promisify(execFile)(kept.end);
      assert.equal(existsSync(kept.directory), false);
      await until(() => !servers.some(isAlive), 'the servers end');
    }
  },
);

for (const [signal, step, expected] of [
  ['SIGTERM', 'shop', 130],
  ['SIGINT', 'restore', 130],
  ['SIGKILL', 'recovery', null],
] as const) {
  test(`${signal} in the step ${step} leaves neither servers nor files`, options, async () => {
    await using box = await sandbox();
    const running = box.start(['demo', '--json'], { limitMs });
    const told = await running.sees(`{"type":"step","step":"${step}"`);
    const [, directory = ''] = /"directory":"([^"]+)"/.exec(told) ?? [];
    const server = pidOf(directory);
    running.kill(signal);
    const ran = await running.done;
    assert.equal(ran.code, expected, ran.stdout + ran.stderr);
    if (signal === 'SIGKILL') await until(() => !existsSync(directory), 'the guard removes the directory');
    assert.equal(existsSync(directory), false);
    await until(() => !isAlive(server), 'the server ends');
    await until(async () => (await processesIn(directory)).length === 0, 'all that it started ends');
    assert.ok(!stepsOf(ran).includes(step));
  });
}

test('a repository or configuration of the user is refused before anything starts', async () => {
  await using box = await sandbox();
  const { code, stderr } = await box.run(['demo', '--repo', box.at('mine')]);
  assert.equal(code, 2);
  assert.match(stderr, /^error\[HF-1001\]: the demo makes a repository and settings of its own\n/);
});

/** What docs/demo.svg says, below the prompt. */
function pictured(): string {
  const picture = readFileSync(new URL('../../docs/demo.svg', import.meta.url), 'utf8');
  return pictureText(picture).split('npm run demo\n')[1] ?? '';
}

/** Lines that a terminal of 84 columns breaks. The name of the directory is not the demo's choice. */
function tooLong(text: string): string[] {
  return text.split('\n').filter((line) => line.length > 84 && !line.includes('files in /'));
}

/** Without what differs from run to run. */
function shape(text: string): string[] {
  return text
    .trim()
    .split(/\n+/)
    .map((line) =>
      line
        .replaceAll(/(?<=holdfast-demo-|holdfast_replaced_|\.holdfast-replaced-)\w+|\b[0-9a-f]{16}\b/g, '…')
        .replaceAll(/\b[0-9A-F]+\/[0-9A-F]+\b/g, '#')
        .replaceAll(/[\d.,]+( ([KM]iB|min \d+ s|s)\b)?/g, '#')
        .replaceAll(/ +/g, ' '),
    );
}

function stepsOf(ran: Ran): unknown[] {
  return ran
    .lines()
    .filter(({ type }) => type === 'step_done')
    .map(({ step }) => step as unknown);
}

function pidOf(directory: string, data = 'server/data'): number {
  return Number.parseInt(readFileSync(join(directory, data, 'postmaster.pid'), 'utf8'), 10);
}

/** Command lines of processes that have to do with a directory. */
async function processesIn(directory: string): Promise<string[]> {
  const { stdout } = await promisify(execFile)('ps', ['-eo', 'args'], { maxBuffer: 16 * 2 ** 20 });
  return stdout.split('\n').filter((line) => line.includes(directory));
}

async function inShell(kept: Kept, command: string): Promise<string> {
  const { stdout } = await promisify(execFile)('/bin/sh', ['-c', `. ${kept.env_file}; ${command}`]);
  return stdout;
}
