const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];

/** For people: `0 B`, `12.3 MiB`. */
export function byteSize(count: number): string {
  let value = count;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`;
}
