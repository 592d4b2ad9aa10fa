export interface ImportSite {
  readonly specifier: string;
  /** 1 for the first. */
  readonly line: number;
  readonly kind: 'import' | 'type' | 'dynamic' | 'url';
}

const patterns: readonly { readonly kind: ImportSite['kind']; readonly regex: RegExp }[] = [
  // import … from 'x', import 'x', export … from 'x', over any number of lines
  { kind: 'import', regex: /(?<![.\w$])(?:import|export)\s+(?!\()([^'"`;()=]*?from\s*)?['"]([^'"\n]+)['"]/g },
  { kind: 'dynamic', regex: /(?<![.\w$])import\s*\(\s*['"`]([^'"`\n]+)['"`]/g },
  { kind: 'url', regex: /new\s+URL\(\s*['"`](\.[^'"`\n]+)['"`]\s*,\s*import\.meta\.url/g },
  { kind: 'url', regex: /siblingModule\(\s*import\.meta\.url\s*,\s*['"`](\.[^'"`\n]+)['"`]/g },
];

// Comments, strings, templates, and regular expressions where an operand is expected.
const token =
  /\/\*[\s\S]*?\*\/|\/\/[^\n]*|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`(?:\\.|[^`\\])*`|(?<=[(,=:[!&|?{};\n]\s*)\/(?![/*])(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n[])+\//g;

/** Every module the source text names by a literal: imports, re-exports, type imports, `import()`, worker URLs. */
export function scanImports(source: string): ImportSite[] {
  const quoted: { readonly start: number; readonly end: number }[] = [];
  const code = source.replaceAll(token, (text: string, start: number) => {
    // Comments become blanks of the same shape, so that positions and lines stay.
    if (text.startsWith('/*') || text.startsWith('//')) return text.replaceAll(/[^\n]/g, ' ');
    quoted.push({ start, end: start + text.length });
    return text;
  });
  const found: ImportSite[] = [];
  for (const { kind, regex } of patterns) {
    for (const match of code.matchAll(regex)) {
      if (quoted.some(({ start, end }) => start < match.index && match.index < end)) continue;
      const isType = kind === 'import' && /^(?:import|export)\s+type\s/.test(match[0]);
      const line = code.slice(0, match.index + match[0].length).split('\n').length;
      found.push({ specifier: match.at(-1) ?? '', line, kind: isType ? 'type' : kind });
    }
  }
  return found.toSorted((a, b) => a.line - b.line);
}
