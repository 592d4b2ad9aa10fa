import type { Manifest } from '../../contract/manifest.ts';
import { failure } from '../../kernel/errors/failure.ts';
import type { ExportItem } from '../../sources/export-port.ts';
import type { RestoreContext } from '../../sources/port.ts';
import type { App } from '../compose.ts';

/** How to export, as every kind understands it; what it does not know it refuses. */
export interface ExportWish {
  readonly format: string | undefined;
  readonly only: readonly string[];
}

export type ExportKind = (
  app: App,
  manifest: Manifest,
  wish: ExportWish,
  context: RestoreContext,
) => Promise<readonly ExportItem[]>;

/** For kinds with one format only. */
export function refuseFormat({ format }: ExportWish, kind: string, extension: string): void {
  if (format === undefined) return;
  throw failure('export_options', {
    option: `--format ${format}`,
    kind,
    suggestion: `leave it out: it is written as ${extension}`,
  });
}
