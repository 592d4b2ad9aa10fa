import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  globSync,
  mkdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { keepSdkTypes } from './sdk-types.ts';
import { checkWorkerUrls, rewriteWorkerUrls } from './worker-urls.ts';

// Makes dist/ for the npm package: JavaScript, with nothing left that only runs in a checkout.

const root = dirname(import.meta.dirname);
const dist = join(root, 'dist');

rmSync(dist, { recursive: true, force: true });
execFileSync(join(root, 'node_modules/.bin/tsc'), ['-p', 'tsconfig.build.json'], {
  cwd: root,
  stdio: 'inherit',
});

for (const asset of globSync('**/*', { cwd: join(root, 'src'), withFileTypes: true })) {
  if (!asset.isFile() || asset.name.endsWith('.ts')) continue;
  const from = join(asset.parentPath, asset.name);
  const to = join(dist, from.slice(join(root, 'src').length));
  mkdirSync(dirname(to), { recursive: true });
  cpSync(from, to);
}

for (const file of globSync('**/*.js', { cwd: dist })) {
  const path = join(dist, file);
  const code = rewriteWorkerUrls(readFileSync(path, 'utf8'));
  for (const missing of checkWorkerUrls(code, (specifier) => existsSync(join(dirname(path), specifier)))) {
    throw new Error(`dist/${file} names ${missing}, which is not in the package`);
  }
  writeFileSync(path, code);
}

keepSdkTypes(dist);

const main = join(dist, 'cli/main.js');
if (existsSync(main)) chmodSync(main, 0o755);
