import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parseDocument } from 'yaml';

const root = join(import.meta.dirname, '..', '..');

test('every piece of YAML in the documents can be read', () => {
  let pieces = 0;
  for (const file of ['README.md', ...globSync('docs/*.md', { cwd: root })]) {
    const text = readFileSync(join(root, file), 'utf8');
    for (const [, indent = '', yaml = ''] of text.matchAll(/^( *)```yaml\n(.*?)^ *```$/gms)) {
      pieces += 1;
      const plain = yaml.replaceAll(new RegExp(`^${indent}`, 'gm'), '');
      const errors = parseDocument(plain).errors.map(({ message }) => message);
      assert.deepEqual(errors, [], `${file}:\n${plain}`);
    }
  }
  assert.ok(pieces > 20, `${pieces} pieces`);
});
