import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { checkPackage, createPackageFromTarballData } from '@arethetypeswrong/core';
import { publint } from 'publint';
import { formatMessage } from 'publint/utils';

/** Fails when some way of importing the packed package leads nowhere, or to types that are not of what is imported. */
export async function lintPackage(tarball: string): Promise<void> {
  const data = await readFile(tarball);
  const buffer = data.buffer.slice(data.byteOffset, data.byteOffset + data.byteLength);
  const { messages, pkg } = await publint({ pack: { tarball: buffer }, strict: true });
  assert.deepEqual(
    messages.map(
      (message) => `${message.type}: ${formatMessage(message, pkg, { color: false }) ?? message.code}`,
    ),
    [],
    'publint finds fault with the package',
  );
  const analysis = await checkPackage(createPackageFromTarballData(new Uint8Array(buffer)));
  assert.ok(analysis.types !== false, 'the package has no types');
  assert.deepEqual(analysis.problems, [], 'its types are wrong for some who import it');
  const entry = analysis.entrypoints['.'];
  const ways = Object.entries(entry?.resolutions ?? {});
  assert.equal(ways.length, 4);
  for (const [way, { resolution }] of ways) assert.equal(resolution?.isTypeScript, true, way);
}
