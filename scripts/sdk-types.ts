import { existsSync, globSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

const entry = 'sdk/index.d.ts';
const specifier = /((?:from|import)\s*\(?\s*')(\.{1,2}\/[^']+)\.(?:ts|js)(')/g;

/**
 * Leaves of the emitted declarations in `dist` only those that the SDK's need, twice: for `import` as they are, and for
 * `require` as `.d.cts`. Throws when they lead to other packages, which users need not have the types of.
 */
export function keepSdkTypes(dist: string): void {
  const needed = reachable(dist, entry);
  for (const file of globSync('**/*.d.ts', { cwd: dist })) if (!needed.has(file)) rmSync(join(dist, file));
  for (const file of needed) {
    const path = join(dist, file);
    const text = readFileSync(path, 'utf8');
    writeFileSync(path, preamble(file) + text.replaceAll(specifier, '$1$2.js$3'));
    writeFileSync(
      path.replace(/\.d\.ts$/, '.d.cts'),
      preamble(file) + text.replaceAll(specifier, '$1$2.cjs$3'),
    );
  }
}

/** `AsyncDisposable` is in no library that is there by default. */
function preamble(file: string): string {
  return file === entry ? '/// <reference lib="esnext.disposable" />\n' : '';
}

function reachable(dist: string, start: string): Set<string> {
  const found = new Set<string>();
  const queue = [start];
  for (let file = queue.pop(); file !== undefined; file = queue.pop()) {
    if (found.has(file)) continue;
    found.add(file);
    const text = readFileSync(join(dist, file), 'utf8');
    const foreign = /from '([^.'][^']*)'/.exec(text)?.[1];
    if (foreign !== undefined) throw new Error(`the SDK's types need those of ${foreign}: ${file}`);
    for (const [, , path = ''] of text.matchAll(specifier)) {
      const target = join(dirname(file), `${path}.d.ts`);
      if (!existsSync(join(dist, target))) throw new Error(`${file} names ${target}, which is not there`);
      queue.push(target);
    }
  }
  return found;
}
