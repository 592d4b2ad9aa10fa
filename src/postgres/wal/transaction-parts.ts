/** What a record of a commit or abort says that it contains, in this order. */
const flags = {
  database: 0x001,
  subtransactions: 0x002,
  files: 0x004,
  invalidations: 0x008,
  prepared: 0x010,
  statistics: 0x100,
} as const;

/**
 * The transaction that the record of a COMMIT PREPARED or ROLLBACK PREPARED ended; its header is of another one.
 * Undefined when it does not parse.
 */
export function preparedTransaction(
  main: DataView,
  major: number | undefined,
  isCommit: boolean,
): number | undefined {
  const end = main.byteLength;
  if (end < 12) return undefined;
  const has = main.getUint32(8, true);
  let at = 12;
  const pass = (flag: number, itemBytes: number): void => {
    if ((has & flag) === 0) return;
    at = at + 4 <= end ? at + 4 + main.getUint32(at, true) * itemBytes : end;
  };
  if ((has & flags.database) !== 0) at += 8;
  pass(flags.subtransactions, 4);
  pass(flags.files, 12);
  // From 18 on these have names of 64 bits.
  pass(flags.statistics, major !== undefined && major >= 18 ? 16 : 12);
  if (isCommit) pass(flags.invalidations, 16);
  return (has & flags.prepared) !== 0 && at + 4 <= end ? main.getUint32(at, true) : undefined;
}
