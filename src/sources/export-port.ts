import type { RestoreContext } from './port.ts';

/** Where the bytes of an exported file go, in order. Calls must not overlap. */
export interface ExportSink {
  /** Takes bytes; they may be changed once the promise has resolved. */
  write(bytes: Uint8Array): Promise<void>;
  /** Puts other bytes over as many at the start of the file. Only where the file is not compressed as a whole. */
  overwriteStart(bytes: Uint8Array): Promise<void>;
}

export type ExportFormat = 'sql' | 'dump' | 'db' | 'tar';

/** One plain file that a backup can be written to. */
export interface ExportItem {
  /** What of the backup it is, for the file's name: a database, say. Any text; empty when it is all of it. */
  readonly label: string;
  /** `.sql.gz` */
  readonly extension: string;
  readonly format: ExportFormat;
  /** The whole file is to be compressed with gzip. */
  readonly gzip: boolean;
  /** Exports of the same backup in other formats write the same file: one that is there and equal is kept. Small. */
  readonly shared?: boolean;
  /** About how many bytes of the backup it takes: for progress. */
  readonly bytes: number;
  /** What is in it, as plain data. */
  readonly contents: Readonly<Record<string, unknown>>;
  readonly warnings: readonly string[];
  /** What to type to use it, once it is called `file`. */
  use(file: string): string;
  /** Writes all of it. Every chunk is checked before it is handed on; damage rejects. */
  write(sink: ExportSink, context: RestoreContext): Promise<void>;
}

/** A word as a POSIX shell takes it. */
export function shellWord(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) && !text.startsWith('-') ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
