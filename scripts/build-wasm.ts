// Compiles wasm/*.ts into src/pipeline/wasm-module.ts: `node scripts/build-wasm.ts`.
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import asc from 'assemblyscript/asc';

const root = fileURLToPath(new URL('..', import.meta.url));
const entries = [
  'wasm/chunker.ts',
  'wasm/copy-scanner.ts',
  'wasm/crc32c.ts',
  'wasm/framing.ts',
  'wasm/page-checksum.ts',
];
const options = [
  '-O3',
  '--noAssert',
  '--runtime',
  'stub',
  '--enable',
  'simd',
  '--initialMemory',
  '1',
  '--noColors',
];

/** The generated file, relative to the project's root. */
export const wasmModulePath = 'src/pipeline/wasm-module.ts';

/** Compiles the module in memory. Throws an `Error` with the compiler's messages if it does not compile. */
export async function compileWasm(): Promise<Uint8Array> {
  let binary: Uint8Array | undefined;
  const { error, stderr } = await asc.main(
    [...entries, '--baseDir', root, '--outFile', 'module.wasm', ...options],
    {
      readFile: (name, baseDir) => readFile(join(baseDir, name), 'utf8').catch(absent),
      writeFile: (_name, contents) => {
        if (typeof contents !== 'string') binary = contents;
      },
      listFiles: () => [],
    },
  );
  if (error !== null || binary === undefined) {
    throw new Error(`The module does not compile: ${(stderr as { toString(): string }).toString()}`);
  }
  return binary;
}

// The compiler probes for files and expects null for those that are not there.
function absent(error: NodeJS.ErrnoException): null {
  if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return null;
  throw error;
}

export function renderWasmModule(binary: Uint8Array): string {
  const base64 = Buffer.from(binary).toString('base64');
  return [
    '// Generated from wasm/*.ts by `node scripts/build-wasm.ts`; do not edit.',
    '',
    '/** The WebAssembly module of the hot loops, in base64. */',
    'export const wasmModuleBase64 =',
    `  '${base64}';`,
    '',
  ].join('\n');
}

if (import.meta.main) {
  const binary = await compileWasm();
  await writeFile(new URL(`../${wasmModulePath}`, import.meta.url), renderWasmModule(binary));
  process.stdout.write(`${wasmModulePath}: a module of ${binary.length} bytes\n`);
}
