import { join } from 'node:path';
import { failure, isFailure, type HoldfastError } from '../../kernel/errors/failure.ts';
import { openFsStorage } from './open.ts';

export interface DefaultDirectoryOptions {
  /** Absolute: where backups go when nobody named a repository. */
  readonly preferred: string;
  /** Absolute: the user's home directory. */
  readonly home: string;
  /** Absolute: `$XDG_DATA_HOME` where it is set; `<home>/.local/share` unless given. */
  readonly dataHome?: string | undefined;
}

export interface DefaultDirectory {
  /** Made, and proved writable by making and removing a file in it. */
  readonly directory: string;
  /** Present when `preferred` cannot be written: to be said loudly. */
  readonly fellBack?: { readonly from: string; readonly reason: string; readonly mend: string };
}

/**
 * Where to keep backups when no repository was named: `preferred`, or a directory of the user's own.
 * Only for that case: a repository somebody named is never exchanged for another.
 * Rejects with `storage_nowhere`, naming both, when neither can be written.
 */
export async function chooseDefaultDirectory(options: DefaultDirectoryOptions): Promise<DefaultDirectory> {
  const { preferred } = options;
  const refusal = await tryDirectory(preferred);
  if (refusal === undefined) return { directory: preferred };
  const fallback = join(options.dataHome ?? join(options.home, '.local', 'share'), 'holdfast', 'backups');
  const second = await tryDirectory(fallback);
  if (second === undefined) {
    return {
      directory: fallback,
      fellBack: { from: preferred, reason: refusal.message, mend: refusal.hint },
    };
  }
  const params = {
    preferred,
    fallback,
    reason: refusal.message,
    fallbackReason: second.message,
    mend: refusal.hint,
  };
  throw failure('storage_nowhere', params, { cause: refusal });
}

/** Why `directory` cannot be written, or undefined when it can. */
async function tryDirectory(directory: string): Promise<HoldfastError | undefined> {
  try {
    await openFsStorage(directory, { create: true });
    return undefined;
  } catch (error) {
    if (isFailure(error)) return error;
    throw error;
  }
}
