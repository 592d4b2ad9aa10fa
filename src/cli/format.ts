import { byteSize } from '../kernel/byte-size.ts';

/** `0 B`, `12.3 MiB`. */
export const bytes = byteSize;

/** `0.4 s`, `12 s`, `3 min 4 s`, `2 h 5 min`. */
export function duration(ms: number): string {
  const seconds = ms / 1000;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 90) return `${Math.round(seconds)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 90) return `${minutes} min ${Math.round(seconds % 60)} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** `3.4x`; `-` where there is nothing to compare. */
export function ratio(value: number | null): string {
  return value === null ? '-' : `${value.toFixed(1)}x`;
}

const settingUnits = {
  ms: [
    ['d', 86_400_000],
    ['h', 3_600_000],
    ['m', 60_000],
    ['s', 1000],
    ['ms', 1],
  ],
  bytes: [
    ['GiB', 2 ** 30],
    ['GB', 1e9],
    ['MiB', 2 ** 20],
    ['MB', 1e6],
    ['KiB', 2 ** 10],
    ['KB', 1e3],
    ['B', 1],
  ],
} as const;

/** A time or a size as it is written in a configuration, without loss: `10s`, `10MB`. */
export function asWritten(value: number, kind: keyof typeof settingUnits): string {
  const found = settingUnits[kind].find(([, size]) => value > 0 && value % size === 0);
  const [unit, size] = found ?? [kind === 'ms' ? 'ms' : 'B', 1];
  return `${value / size}${unit}`;
}

/** `2026-11-20 15:00:00Z`: can be pasted where a backup is named by its time. */
export function instant(iso: string): string {
  return `${iso.slice(0, 19).replace('T', ' ')}Z`;
}

/** Columns padded to their widest cell; numbers (cells of the columns in `right`) to the right. */
export function table(
  header: readonly string[],
  rows: readonly (readonly string[])[],
  right: readonly number[] = [],
): string {
  const widths = header.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => (row[column] ?? '').length)),
  );
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, column) =>
        right.includes(column) ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0),
      )
      .join('  ')
      .trimEnd();
  return [header, ...rows].map((cells) => `${line(cells)}\n`).join('');
}

/** Text in lines of at most so many columns, broken at blanks; a longer word has a line of its own. */
export function wrapped(text: string, columns: number): string {
  const lines: string[] = [];
  for (const word of text.split(' ')) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + word.length < columns)
      lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines.join('\n');
}
