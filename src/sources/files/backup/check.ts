import { pathBytes } from '../../../kernel/byte-path.ts';
import { isFailure } from '../../../kernel/errors/failure.ts';
import type { Finding } from '../../port.ts';
import type { FilesBackupOptions } from './backup.ts';
import { checkTree, mayRead } from './check-tree.ts';
import { Patterns } from './patterns.ts';
import { PosixHelper } from '../posix-helper.ts';
import { findRoots } from './roots.ts';
import { isRepository } from './special-directories.ts';

/** Looks whether the paths could be backed up: for `doctor` and `--dry-run`. Changes nothing. */
export async function checkFiles(options: FilesBackupOptions, signal: AbortSignal): Promise<Finding[]> {
  return [
    ...(await checkPaths(options, signal)),
    ...checkPatterns('exclude', options.exclude),
    ...checkPatterns('include', options.include),
    await checkXattrs(options.xattrs, signal),
  ];
}

async function checkPaths(options: FilesBackupOptions, signal: AbortSignal): Promise<Finding[]> {
  try {
    const roots = findRoots(options.paths, options.oneFileSystem);
    const { found, missing } = roots;
    const findings: Finding[] = missing.map(({ given, reason }) => ({
      check: 'paths',
      level: 'error',
      message: `${given} could not be read (${reason}): backups would be incomplete`,
      mend: 'make it readable, or take it out of `paths`',
    }));
    for (const { given, path, isDirectory } of found) {
      const bytes = pathBytes(path);
      if (isDirectory && isRepository(bytes))
        findings.push({
          check: 'paths',
          level: 'error',
          message: `${given} is a repository of backups, which is left out`,
          mend: 'take it out of `paths`; `holdfast sync` copies repositories',
        });
      else if (!mayRead(bytes))
        findings.push({
          check: 'paths',
          level: 'error',
          message: `${given} may not be read`,
          mend: `run as a user who may, or give this one the right: setfacl -m u:USER:rX ${given}`,
        });
    }
    if (findings.length > 0) return findings;
    return [await checkTree(options, roots, signal)];
  } catch (error) {
    if (!isFailure(error)) throw error;
    const { message, hint, code } = error;
    return [{ check: 'paths', level: 'error', message, mend: hint, code }];
  }
}

/** Patterns that mean nothing are passed over in .gitignore files; in settings they are mistakes. */
function checkPatterns(check: string, patterns: readonly string[]): Finding[] {
  return patterns.flatMap((pattern): Finding[] => {
    const reason = whyMeaningless(pattern);
    if (reason === undefined) return [];
    return [
      {
        check,
        level: 'warning',
        message: `the pattern ${JSON.stringify(pattern)} matches nothing: ${reason}`,
        mend: 'write it as in a .gitignore, or take it out',
      },
    ];
  });
}

function whyMeaningless(pattern: string): string | undefined {
  if (pattern.trim() === '') return 'it is empty';
  if (pattern.startsWith('#')) return 'it is a comment; write \\# for a name that begins so';
  if (/(?:^|[^\\])(?:\\\\)*\\$/.test(pattern)) return 'it ends in a backslash';
  if (/(^|\/)\.{1,2}(\/|$)/.test(pattern)) return 'paths have no . and ..';
  try {
    Patterns.of([pattern])?.match('name');
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

async function checkXattrs(wish: FilesBackupOptions['xattrs'], signal: AbortSignal): Promise<Finding> {
  const check = 'extended attributes';
  if (wish === 'off') return { check, level: 'ok', message: 'are not kept, as configured' };
  await using helper = await PosixHelper.start(signal);
  if (helper !== null) return { check, level: 'ok', message: 'are kept' };
  return {
    check,
    level: wish === 'on' ? 'error' : 'warning',
    message: 'cannot be read here: that takes perl, on Linux for x86_64 or aarch64',
    mend: 'install perl (apt install perl-base), or set `xattrs: off`',
    ...(wish === 'on' ? { code: 'HF-5204' } : {}),
  };
}
