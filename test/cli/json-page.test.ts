import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { Ran } from './program-runner.ts';
import { shop } from './shop.ts';

const page = new URL('../../docs/json.md', import.meta.url);
/** What is in them is somebody else's to describe, or differs from one to the next. */
const opaque = ['tags', 'metadata', 'meta', 'details', 'durations_ms', 'json_schema', 'contents'];

function* fieldsOf(value: unknown): Generator<string> {
  if (Array.isArray(value)) for (const item of value) yield* fieldsOf(item);
  else if (typeof value === 'object' && value !== null) {
    for (const [key, inner] of Object.entries(value)) {
      yield key;
      if (!opaque.includes(key)) yield* fieldsOf(inner);
    }
  }
}

async function dumpsIn(directory: string): Promise<string[]> {
  const names = await readdir(directory);
  return names.filter((name) => name.endsWith('.dump')).map((name) => join(directory, name));
}

describe('docs/json.md', () => {
  it('names every field that results and events have', async () => {
    const text = await readFile(page, 'utf8');
    const documented = new Set([...text.matchAll(/`([a-z_][a-z0-9_]*)`/g)].map(([, name]) => name));
    await using the = await shop();
    const secondKey = { HOLDFAST_NEW_PASSPHRASE: 'a second good one' };
    const unreachable = {
      HOLDFAST_SOURCES_ONE_URL: the.server.url('gone_one'),
      HOLDFAST_SOURCES_TWO_URL: the.server.url('gone_two'),
    };
    const ran: Ran[] = [
      await the.ok(['init', '--json']),
      await the.ok(['backup', '--json']),
      await the.ok(['backup', '--dry-run', '--json']),
      await the.fails(['backup', '--json'], 6, 'HF-5004', { env: unreachable }),
      await the.ok(['list', '--json']),
      await the.ok(['size', '--json']),
      await the.ok(['completion', 'bash', '--json']),
      await the.ok(['info', 'latest', '--json']),
      await the.ok(['status', '--sizes', '--json']),
      await the.ok(['restore', 'latest', '--to', the.server.url('copy'), '--json']),
      await the.ok(['export', 'latest', '--to', the.box.at('exported'), '--format', 'dump', '--json']),
      await the.ok(['import', ...(await dumpsIn(the.box.at('exported'))), '--json']),
      await the.ok(['import', ...(await dumpsIn(the.box.at('exported'))), '--dry-run', '--json']),
      await the.ok(['pin', 'latest', '--reason', 'x', '--json']),
      await the.ok(['unpin', 'latest', '--json']),
      await the.ok(['clean', '--keep', '1', '--json']),
      await the.ok(['forget', 'latest', '--force', '--json']),
      await the.ok(['forget', '--undo', the.backupId, '--json']),
      await the.ok(['verify', '--read-data', '--json']),
      await the.fails(['verify', 'feed', '--json'], 6, 'HF-3010'),
      await the.ok(['key', 'add', '--json'], secondKey),
      await the.ok(['doctor', '--json']),
      await the.ok(['config', 'validate', '--json']),
      await the.ok(['config', 'show', '--json']),
      await the.ok(['config', 'template', '--json']),
      await the.ok(['config', 'schema', '--json']),
    ];
    const fields = new Set(ran.flatMap((one) => [...fieldsOf(one.lines())]));
    assert.ok(fields.size > 60, `only ${fields.size} fields were seen`);
    assert.deepEqual(
      [...fields].filter((field) => !documented.has(field)),
      [],
    );
  });
});
