import type { Session } from '../../../postgres/connection/session.ts';

/** The settings of the server, in the units of `pg_settings`. */
export interface Settings {
  /** Undefined where the server has no such setting, or does not tell this user. */
  text(name: string): string | undefined;
  number(name: string): number | undefined;
  /** Of a size; undefined for -1, too, which means that there is no limit. */
  bytes(name: string): number | undefined;
  /** Whether the configuration has another value already, which counts from the next start on. */
  waitsForRestart(name: string): boolean;
  /** The values that an enumeration can have. */
  values(name: string): readonly string[];
}

interface Row {
  readonly [column: string]: unknown;
  readonly name: string;
  readonly setting: string | null;
  readonly unit: string | null;
  readonly pending_restart: boolean;
  readonly enumvals: readonly string[] | null;
}

const unitBytes: Readonly<Record<string, number>> = {
  B: 1,
  kB: 1024,
  '8kB': 8192,
  MB: 1_048_576,
};

export async function readSettings(session: Session): Promise<Settings> {
  const rows = await session.query<Row>(
    'SELECT name, setting, unit, pending_restart, enumvals FROM pg_catalog.pg_settings',
  );
  const byName = new Map(rows.map((row) => [row.name, row]));
  const text = (name: string): string | undefined => byName.get(name)?.setting ?? undefined;
  const number = (name: string): number | undefined => {
    const value = text(name);
    return value === undefined ? undefined : Number(value);
  };
  return {
    text,
    number,
    bytes(name) {
      const value = number(name);
      const unit = unitBytes[byName.get(name)?.unit ?? 'B'];
      return value === undefined || value < 0 || unit === undefined ? undefined : value * unit;
    },
    waitsForRestart: (name) => byName.get(name)?.pending_restart === true,
    values: (name) => byName.get(name)?.enumvals ?? [],
  };
}
