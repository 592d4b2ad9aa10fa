const units: Readonly<Record<string, number>> = {
  B: 1,
  kB: 1024,
  MB: 1024 ** 2,
  GB: 1024 ** 3,
  TB: 1024 ** 4,
};

/** What `SHOW` says of a setting that is a number of bytes: `16MB`. A number alone counts `unitBytes` each. */
export function parseByteSize(text: string, unitBytes: number): number {
  const [, number = '', unit = ''] = /^(\d+)\s*(B|kB|MB|GB|TB)?$/.exec(text) ?? [];
  return number === '' ? Number.NaN : Number(number) * (unit === '' ? unitBytes : (units[unit] ?? 1));
}
