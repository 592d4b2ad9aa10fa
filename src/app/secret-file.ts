import { readFile } from 'node:fs/promises';
import { failure } from '../kernel/errors/failure.ts';
import { Secret } from '../kernel/secret.ts';
import { unreadable } from './unreadable.ts';

/**
 * The first line of a file that a `…_file` setting names. Throws `secret_file_missing`, `config_unreadable` and
 * `secret_file_empty`.
 * Its mode is not insisted on: files that orchestrators mount are often readable by more than their user.
 */
export async function readSecretFile(path: string, setting: string): Promise<Secret> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT')
      throw failure('secret_file_missing', { path, setting }, { cause: error });
    throw await unreadable(path, error);
  }
  const line = firstLine(text);
  if (line === '') throw failure('secret_file_empty', { path, setting });
  return new Secret(line);
}

/** Without its line end. What editors put in front of UTF-8 is no part of a secret. */
export function firstLine(text: string): string {
  return (text.replace(/^\uFEFF/, '').split('\n', 1)[0] ?? '').replace(/\r$/, '');
}
