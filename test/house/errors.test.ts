import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { areas, errorDocs } from '../../scripts/error-docs.ts';
import { catalogue } from '../../src/kernel/errors/catalogue.ts';
import { clusterErrors } from '../../src/kernel/errors/cluster.ts';
import { configErrors } from '../../src/kernel/errors/config.ts';
import { coreErrors } from '../../src/kernel/errors/core.ts';
import type { ErrorEntry } from '../../src/kernel/errors/define.ts';
import { demoErrors } from '../../src/kernel/errors/demo.ts';
import { exportErrors } from '../../src/kernel/errors/export.ts';
import { filesErrors } from '../../src/kernel/errors/files.ts';
import { gcErrors } from '../../src/kernel/errors/gc.ts';
import { keyErrors } from '../../src/kernel/errors/keys.ts';
import { postgresErrors } from '../../src/kernel/errors/postgres.ts';
import { recoveryErrors } from '../../src/kernel/errors/recovery.ts';
import { repairErrors } from '../../src/kernel/errors/repair.ts';
import { repositoryErrors } from '../../src/kernel/errors/repository.ts';
import { restoreErrors } from '../../src/kernel/errors/restore.ts';
import { retentionErrors } from '../../src/kernel/errors/retention.ts';
import { sqliteErrors } from '../../src/kernel/errors/sqlite.ts';
import { statusErrors } from '../../src/kernel/errors/status.ts';
import { storageErrors } from '../../src/kernel/errors/storage.ts';
import { syncErrors } from '../../src/kernel/errors/sync.ts';
import { walCommandErrors } from '../../src/kernel/errors/wal-commands.ts';
import { walStreamErrors } from '../../src/kernel/errors/wal-stream.ts';
import { walErrors } from '../../src/kernel/errors/wal.ts';

const root = join(import.meta.dirname, '../..');
const entries: [string, ErrorEntry][] = Object.entries(catalogue);

const parts: Record<string, Record<string, ErrorEntry>> = {
  10: { ...coreErrors, ...demoErrors },
  11: configErrors,
  20: storageErrors,
  30: repositoryErrors,
  31: keyErrors,
  40: restoreErrors,
  41: exportErrors,
  50: postgresErrors,
  51: sqliteErrors,
  52: filesErrors,
  53: clusterErrors,
  54: { ...walErrors, ...walCommandErrors, ...walStreamErrors },
  55: recoveryErrors,
  60: retentionErrors,
  61: gcErrors,
  62: syncErrors,
  63: repairErrors,
  64: statusErrors,
};

test('docs/errors.md is what the catalogue says', () => {
  const page = readFileSync(join(root, 'docs/errors.md'), 'utf8');
  assert.equal(page, errorDocs(), 'run: npm run generate');
});

test('docs/errors.md has every code, and no other', () => {
  const page = readFileSync(join(root, 'docs/errors.md'), 'utf8');
  const documented = [...page.matchAll(/^### (HF-\d{4})$/gm)].map((match) => match[1] ?? '');
  assert.deepEqual(documented.toSorted(), entries.map(([, entry]) => entry.code).toSorted());
});

test('no code and no name is given twice', () => {
  const owners = Map.groupBy(entries, ([, entry]) => entry.code);
  for (const [code, named] of owners)
    assert.equal(named.length, 1, `${code}: ${named.map(([name]) => name).join(', ')}`);
  const names = Object.values(parts).flatMap((part) => Object.keys(part));
  assert.equal(new Set(names).size, names.length, 'a name in two areas: the later would hide the earlier');
  assert.equal(entries.length, names.length, 'an area is missing in this test');
});

test('every code is well formed and in its area', () => {
  for (const [prefix, part] of Object.entries(parts)) {
    assert.ok(areas.some((area) => area.prefix === prefix));
    for (const [name, { code }] of Object.entries(part))
      assert.match(code, new RegExp(`^HF-${prefix}\\d\\d$`), name);
  }
});

test('messages, hints and explanations read as they are meant to', () => {
  for (const [name, { message, hint, explain }] of entries) {
    assert.match(name, /^[a-z][a-z0-9]*(_[a-z0-9]+)*$/);
    for (const text of [message, hint, explain]) {
      assert.ok(text.trim() === text && text !== '', name);
      assert.doesNotMatch(text, /\{\W|\{[^}]*$|\n/, `${name}: ${text}`);
    }
    assert.doesNotMatch(message, /\.$/, `${name}: the message has a final stop`);
    assert.match(explain, /[.!?)]$/, `${name}: the explanation is whole sentences`);
    assert.doesNotMatch(explain, /\{/, `${name}: the explanation is the same for every occurrence`);
  }
});

test('every error is used', () => {
  const source = globSync('src/**/*.ts', { cwd: root })
    .filter((file) => !file.startsWith('src/kernel/errors/'))
    .map((file) => readFileSync(join(root, file), 'utf8'))
    .join('\n');
  const unused = entries
    .map(([name]) => name)
    .filter((name) => !new RegExp(`['"\`]${name}['"\`]`).test(source));
  // `internal` is made by asFailure, inside the kernel.
  assert.deepEqual(
    unused.filter((name) => name !== 'internal'),
    [],
  );
});
