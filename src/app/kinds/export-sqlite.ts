import { planSqliteExport } from '../../sources/sqlite/export.ts';
import { refuseFormat, type ExportKind } from './export-kind.ts';
import { onlyPaths } from './path-target.ts';

export const exportSqlite: ExportKind = async (_app, manifest, wish, context) => {
  refuseFormat(wish, 'SQLite', '.db');
  return await planSqliteExport({ only: onlyPaths(wish.only, manifest) }, context);
};
