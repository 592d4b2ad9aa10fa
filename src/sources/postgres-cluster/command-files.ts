import { stat } from 'node:fs/promises';
import { isAbsolute } from 'node:path';

/** Something that a command of a server's configuration needs on its machine. */
export interface NamedFile {
  readonly what: 'program' | 'key file' | 'configuration' | 'repository';
  /** Absolute. */
  readonly path: string;
}

const byFlag: Readonly<Record<string, NamedFile['what']>> = {
  '--config': 'configuration',
  '--repo': 'repository',
};
const byVariable: Readonly<Record<string, NamedFile['what']>> = {
  HOLDFAST_PASSPHRASE_FILE: 'key file',
  HOLDFAST_CONFIG: 'configuration',
};

/** What `archive_command` or `restore_command` names by an absolute path, as far as it is understood without a shell. */
export function filesNamedBy(command: string): NamedFile[] {
  const found: NamedFile[] = [];
  const add = (what: NamedFile['what'] | undefined, path: string | undefined): void => {
    // A path with a placeholder in it is another one each time.
    if (
      what === undefined ||
      path === undefined ||
      !isAbsolute(path) ||
      /%[a-z]/.test(path.replaceAll('%%', ''))
    )
      return;
    found.push({ what, path: path.replaceAll('%%', '%') });
  };
  const words = shellWords(command);
  let isProgram = true;
  for (const [index, word] of words.entries()) {
    const [, name = '', value] = /^(-*[A-Za-z_][\w-]*)=(.*)$/s.exec(word) ?? [];
    if (isProgram && value !== undefined && !name.startsWith('-')) {
      add(byVariable[name], value);
      continue;
    }
    if (isProgram) add('program', word);
    isProgram = false;
    if (value === undefined) add(byFlag[word], words[index + 1]);
    else add(byFlag[name], value);
  }
  return found;
}

/** Of these the ones that are not there. What may not be looked at may be there. */
export async function filesNotThere(files: readonly NamedFile[]): Promise<NamedFile[]> {
  const missing: NamedFile[] = [];
  for (const file of files) {
    const code = await stat(file.path).then(
      () => undefined,
      (error: NodeJS.ErrnoException) => error.code,
    );
    if (code === 'ENOENT' || code === 'ENOTDIR') missing.push(file);
  }
  return missing;
}

/** `the key file /a, the configuration /b` */
export function fileWords(files: readonly NamedFile[]): string {
  return files.map(({ what, path }) => `the ${what} ${path}`).join(', ');
}

const piece = /'[^']*'|"(?:[^"\\]|\\.)*"|\\.|[^\s'"\\]+/gs;

function shellWords(command: string): string[] {
  const words = command.match(/(?:'[^']*'|"(?:[^"\\]|\\.)*"|\\.|[^\s'"\\])+/gs) ?? [];
  return words.map((word) => (word.match(piece) ?? []).map(unquoted).join(''));
}

function unquoted(text: string): string {
  if (text.startsWith("'")) return text.slice(1, -1);
  if (text.startsWith('"')) return text.slice(1, -1).replaceAll(/\\([\\"$`])/g, '$1');
  return text.startsWith('\\') ? text.slice(1) : text;
}
