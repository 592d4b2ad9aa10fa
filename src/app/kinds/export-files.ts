import { planFilesExport } from '../../sources/files/tar/export.ts';
import { refuseFormat, type ExportKind } from './export-kind.ts';
import { onlyPaths } from './path-target.ts';

export const exportFiles: ExportKind = async (_app, manifest, wish, context) => {
  refuseFormat(wish, 'files', '.tar.gz');
  return await planFilesExport({ only: onlyPaths(wish.only, manifest) }, context);
};
