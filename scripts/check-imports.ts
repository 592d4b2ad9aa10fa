import { join, resolve } from 'node:path';
import { checkImports } from './import-rules.ts';

// Usage: node scripts/check-imports.ts [FOLDER]; the folder is src unless given.

const folder = resolve(process.argv[2] ?? join(import.meta.dirname, '../src'));
const { files, violations } = checkImports(folder);
for (const { file, line, rule } of violations) console.error(`${join(folder, file)}:${line}: ${rule}`);
if (violations.length > 0) process.exitCode = 1;
else console.log(`imports of ${files} files point down`);
