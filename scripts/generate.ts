import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { configReference } from '../src/contract/config-reference.ts';
import { apiDocs } from './api-docs.ts';
import { compileWasm, renderWasmModule, wasmModulePath } from './build-wasm.ts';
import { errorDocs } from './error-docs.ts';
import { sdkErrorCodes } from './sdk-error-codes.ts';
import { sdkSettings } from './sdk-settings.ts';

// Usage: node scripts/generate.ts [--check]
// Writes every generated file; with --check changes nothing and fails when one is out of date.

interface Generated {
  /** Relative to the root of the checkout. */
  readonly path: string;
  readonly content: () => string | Promise<string>;
}

const generated: readonly Generated[] = [
  { path: 'docs/errors.md', content: () => errorDocs() },
  { path: 'docs/configuration.md', content: configReference },
  { path: 'src/sdk/settings.ts', content: sdkSettings },
  { path: 'src/sdk/error-codes.ts', content: sdkErrorCodes },
  { path: 'docs/api.md', content: apiDocs },
  { path: wasmModulePath, content: async () => renderWasmModule(await compileWasm()) },
];

const root = dirname(import.meta.dirname);
const check = process.argv.includes('--check');

for (const { path, content } of generated) {
  const wanted = await content();
  if (current(join(root, path)) === wanted) continue;
  if (check) {
    console.error(`${path} is out of date; run: npm run generate`);
    process.exitCode = 1;
  } else {
    writeFileSync(join(root, path), wanted);
    console.log(`wrote ${path}`);
  }
}

function current(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
