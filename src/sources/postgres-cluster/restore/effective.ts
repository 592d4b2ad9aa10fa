import { type ConfSetting, parseConf } from './conf.ts';

export interface Effective {
  /** By name; the last one counts. */
  readonly settings: ReadonlyMap<string, string>;
  /** Files and directories outside that are included and were not read. */
  readonly notFollowed: readonly string[];
}

/** Reads files of the restored directory: texts by relative path, null where there is none; names in a directory. */
export interface ConfReader {
  file(path: string): Promise<string | null>;
  directory(path: string): Promise<readonly string[] | null>;
}

const deepest = 10;

/** What the files of the restored directory set, each including others within it. In the order in which they count. */
export async function effectiveSettings(files: readonly string[], reader: ConfReader): Promise<Effective> {
  const settings = new Map<string, string>();
  const notFollowed: string[] = [];
  const read = async (path: string, depth: number): Promise<void> => {
    const text = depth > deepest ? null : await reader.file(path);
    for (const { setting } of parseConf(text ?? '')) {
      if (setting === null) continue;
      const included = await includedBy(setting, path, reader);
      if (included === null) settings.set(setting.name, setting.value);
      else if (included === 'outside') notFollowed.push(setting.value);
      else for (const one of included) await read(one, depth + 1);
    }
  };
  for (const file of files) await read(file, 0);
  return { settings, notFollowed };
}

const includes: ReadonlySet<string> = new Set(['include', 'include_if_exists', 'include_dir']);

export function isInclude({ name }: ConfSetting): boolean {
  return includes.has(name);
}

/** Null for a setting. Paths that leave the directory, or may, are outside. */
async function includedBy(
  setting: ConfSetting,
  from: string,
  reader: ConfReader,
): Promise<readonly string[] | 'outside' | null> {
  if (!isInclude(setting)) return null;
  if (!staysWithin(setting.value)) return 'outside';
  const path = `${from.slice(0, from.lastIndexOf('/') + 1)}${setting.value}`;
  if (setting.name !== 'include_dir') return [path];
  const names = (await reader.directory(path)) ?? [];
  return names
    .filter((name) => name.endsWith('.conf') && !name.startsWith('.'))
    .toSorted()
    .map((name) => `${path}/${name}`);
}

export function staysWithin(path: string): boolean {
  return path !== '' && path.split('/').every((part) => !['', '.', '..'].includes(part));
}
