import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { compileWasm, renderWasmModule, wasmModulePath } from '../../scripts/build-wasm.ts';

test('the committed module is what its source compiles to', async () => {
  const committed = await readFile(new URL(`../../${wasmModulePath}`, import.meta.url), 'utf8');
  assert.equal(renderWasmModule(await compileWasm()), committed, 'run: node scripts/build-wasm.ts');
});
