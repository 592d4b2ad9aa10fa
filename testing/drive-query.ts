import { Refusal } from './google-protocol.ts';

export interface StoredDriveFile {
  readonly id: string;
  readonly name: string;
  readonly mimeType: string;
  readonly parents: readonly string[];
  readonly properties: Readonly<Record<string, string>>;
  readonly bytes: Buffer;
  readonly createdAtMs: number;
  readonly driveId?: string;
  trashed: boolean;
  /** Searches before this one (they are counted) do not show it yet. */
  shownFrom: number;
  /** Searches from this one on do not show it any more. */
  hiddenFrom: number;
}

/** `'x' in parents and name = 'y' and …` as a test of files. */
export function conditionsOf(
  query: string,
  isFolder: (id: string) => boolean,
): (file: StoredDriveFile) => boolean {
  const text = String.raw`'((?:[^'\\]|\\['\\])*)'`;
  const forms: readonly (readonly [
    RegExp,
    (found: readonly string[]) => (file: StoredDriveFile) => boolean,
  ])[] = [
    [
      new RegExp(`^${text} in parents`),
      ([id = '']) => {
        if (!isFolder(id)) throw new Refusal(404, 'notFound', 'File not found: .');
        return (file) => file.parents.includes(id);
      },
    ],
    // The service does not tell upper from lower case.
    [
      new RegExp(`^name = ${text}`),
      ([name = '']) =>
        (file) =>
          file.name.toLowerCase() === name.toLowerCase(),
    ],
    [
      new RegExp(`^mimeType = ${text}`),
      ([type]) =>
        (file) =>
          file.mimeType === type,
    ],
    [/^trashed = false/, () => (file) => !file.trashed],
    [
      new RegExp(`^properties has \\{ key=${text} and value=${text} \\}`),
      ([key = '', value]) =>
        (file) =>
          file.properties[key] === value,
    ],
  ];
  const tests: ((file: StoredDriveFile) => boolean)[] = [];
  for (let rest = query; ;) {
    const form = forms.find(([pattern]) => pattern.test(rest));
    const match = form?.[0].exec(rest);
    if (form === undefined || !match) throw new Refusal(400, 'invalid', `Invalid Value: ${rest}`);
    tests.push(form[1](match.slice(1).map((part) => part.replaceAll(/\\(['\\])/g, '$1'))));
    rest = rest.slice(match[0].length);
    if (rest === '') break;
    if (!rest.startsWith(' and ')) throw new Refusal(400, 'invalid', `Invalid Value: ${rest}`);
    rest = rest.slice(' and '.length);
  }
  return (file) => tests.every((isMatch) => isMatch(file));
}
