import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { tempDirectory, type TempDirectory } from './temp.ts';

/** A temporary folder with the given files; keys are relative paths. */
export async function sourceTree(files: Readonly<Record<string, string>>): Promise<TempDirectory> {
  const tree = await tempDirectory();
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(tree.path, path)), { recursive: true });
    await writeFile(join(tree.path, path), text);
  }
  return tree;
}
