import { dirname, extname } from 'node:path';
import { backupFiles, type FilesBackupOptions } from '../../sources/files/backup/backup.ts';
import { checkFiles } from '../../sources/files/backup/check.ts';
import {
  planFilesRestore,
  runFilesRestore,
  type FilesRestoreSummary,
} from '../../sources/files/restore/restore.ts';
import type { App } from '../compose.ts';
import { randomHex } from '../random-hex.ts';
import type { ConfigOf, SourceKind } from './kind.ts';
import { onlyPaths, pathTarget } from './path-target.ts';

/** Directories and files. */
export const filesKind: SourceKind<'files'> = {
  prepare(app, name, config) {
    const options = optionsOf(app, config);
    return Promise.resolve({ name, kind: 'files', backup: (context) => backupFiles(options, context) });
  },

  check: (app, _name, config) => checkFiles(optionsOf(app, config), app.signal),

  async planRestore(app, manifest, wish, context) {
    const { path } = pathTarget(wish, app.machine, manifest);
    const options = {
      target: path,
      only: onlyPaths(wish.only, manifest),
      force: wish.force,
      check: wish.check,
      owner: wish.owner,
      randomHex,
      now: () => app.machine.clock.now(),
    };
    const plan = await planFilesRestore(options, context);
    noteDirectory(app, plan.summary, options.only);
    return {
      summary: plan.summary,
      needs: plan.needs,
      run: (running) => runFilesRestore(plan, running),
    };
  },
};

/** One file, and a target that reads like a name for it, as of SQLite it would be. */
function noteDirectory({ observer }: App, plan: FilesRestoreSummary, [path = '', ...more]: string[]): void {
  const extension = extname(plan.target);
  const isOneFile = more.length === 0 && plan.files === 1 && extname(path) === extension;
  if (extension === '' || !isOneFile || plan.mode !== 'create') return;
  observer.notice({
    level: 'info',
    message: `${plan.target} is a directory, and the file goes into it, under its path in the backup`,
    hint: `name the directory it is to be in: --to ${dirname(plan.target)}`,
  });
}

function optionsOf(app: App, config: ConfigOf<'files'>): FilesBackupOptions {
  return {
    paths: config.paths,
    exclude: config.exclude,
    include: config.include,
    ignoreFile: config.ignore_file,
    excludeCaches: config.exclude_caches,
    oneFileSystem: config.one_file_system,
    xattrs: config.xattrs,
    host: app.machine.host,
    now: () => app.machine.clock.now(),
  };
}
