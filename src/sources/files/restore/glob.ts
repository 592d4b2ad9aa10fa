type Segment = RegExp | 'any directories';

/** Whether a text is meant as a pattern, if it is not the path of anything. */
export function isPattern(text: string): boolean {
  return /[*?[]/.test(text);
}

/**
 * A pattern of whole paths: `*` and `?` stand for what is within a name, `[a-z]` and `[!a-z]` for one character, and
 * `**` between slashes for any directories, also none. `\` takes the meaning from what follows it.
 */
export function pathPattern(pattern: string): (path: string) => boolean {
  const segments = pattern
    .split('/')
    .map((text): Segment => (text === '**' ? 'any directories' : name(text)));
  return (path) => matches(segments, path.split('/'));
}

/** Each `**` takes as little as it can, and one more directory whenever what follows does not match. */
function matches(segments: readonly Segment[], names: readonly string[]): boolean {
  let segmentAt = 0;
  let nameAt = 0;
  let again: { readonly segmentAt: number; nameAt: number } | undefined;
  while (nameAt < names.length) {
    const segment = segments[segmentAt];
    if (segment === 'any directories') {
      segmentAt += 1;
      again = { segmentAt, nameAt };
    } else if (segment?.test(names[nameAt] ?? '') === true) {
      segmentAt += 1;
      nameAt += 1;
    } else if (again !== undefined) {
      again.nameAt += 1;
      ({ segmentAt, nameAt } = again);
    } else {
      return false;
    }
  }
  return segments.slice(segmentAt).every((segment) => segment === 'any directories');
}

const piecesOfName =
  /\\(?<escaped>.)|(?<any>\*+)|(?<one>\?)|\[(?<not>[!^]?)(?<set>\]?[^\]]*)\]|(?<plain>.)/gsu;

function name(text: string): RegExp {
  let source = '';
  for (const { groups = {} } of text.matchAll(piecesOfName)) {
    const { escaped, any, one, not, set, plain } = groups;
    if (any !== undefined) source += '.*';
    else if (one !== undefined) source += '.';
    else if (set !== undefined && set !== '') source += characterSet(set, not !== '');
    else source += escape(escaped ?? plain ?? '[]');
  }
  return new RegExp(`^${source}$`, 'su');
}

function escape(text: string): string {
  return text.replaceAll(/[\\^$.*+?()[\]{}|/]/g, String.raw`\$&`);
}

function characterSet(set: string, not: boolean): string {
  const source = `[${not ? '^' : ''}${set.replaceAll(/[\\\]^[]/g, String.raw`\$&`)}]`;
  try {
    return new RegExp(source, 'u').source;
  } catch {
    // A range whose end comes before its beginning: no character at all.
    return not ? '.' : '[]';
  }
}
