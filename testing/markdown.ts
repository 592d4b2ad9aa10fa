const fence = /^( *)(```+|~~~+)[ \t]*(\w*)[^\n]*\n([\s\S]*?)^\1\2[ \t]*$/gm;
const span = /(?<!`)(`+)(?!`)([\s\S]*?)(?<!`)\1(?!`)/g;

/** Targets of the links and images of a page that stay in this checkout. */
export function linksOf(text: string): string[] {
  const prose = text.replaceAll(fence, '').replaceAll(span, 'code');
  return [...prose.matchAll(/\]\(<?([^)\s>]+)>?(?:\s+"[^"]*")?\)/g)]
    .map((match) => match[1] ?? '')
    .filter((link) => !/^[a-z][a-z0-9+.-]*:/i.test(link));
}

/** The anchors GitHub gives to the headings of a page. */
export function anchorsOf(text: string): Set<string> {
  const anchors = new Set<string>();
  for (const [, heading = ''] of text.replaceAll(fence, '').matchAll(/^#{1,6}[ \t]+(.+?)[ \t]*#*$/gm)) {
    const base = heading
      .replaceAll(/!?\[([^\]]*)\]\([^)]*\)/g, '$1')
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\p{M}_ -]/gu, '')
      .replaceAll(' ', '-');
    let anchor = base;
    for (let n = 1; anchors.has(anchor); n += 1) anchor = `${base}-${n}`;
    anchors.add(anchor);
  }
  return anchors;
}

/** Inline code, without its backquotes, on one line each. */
export function codeSpansOf(text: string): string[] {
  return [...text.replaceAll(fence, '').matchAll(span)].map((match) =>
    (match[2] ?? '').replaceAll(/\s+/g, ' ').trim(),
  );
}

/** The code blocks in which people find commands: shell, cron and systemd. */
export function shellBlocksOf(text: string): string[] {
  return [...text.matchAll(fence)]
    .filter((match) => ['sh', 'bash', 'shell', 'cron', 'ini'].includes(match[3] ?? ''))
    .map((match) => match[4] ?? '');
}

/** The arguments of every call of holdfast in a piece of shell, a crontab or a unit file, as far as pages go. */
export function holdfastCommands(text: string): string[][] {
  return text
    .replaceAll(/\\\n/g, ' ')
    .split('\n')
    .map((line) => line.replace(/^\s*(?:(?:[\d*/,-]+\s+){5}|@\w+\s+|Exec\w+=)/, ''))
    .flatMap(simpleCommands)
    .flatMap((words) => {
      const [program, ...args] = words.slice(prefixLength(words));
      return program !== undefined && /^(?:\S*\/)?holdfast$/.test(program) ? [args] : [];
    });
}

/** How many words stand before the program: keywords, variables, and programs that start another. */
function prefixLength(words: readonly string[]): number {
  let at = 0;
  for (;;) {
    const word = words[at] ?? '';
    if (/^(?:if|then|else|do|while|until|time|exec|!|\{|env|--)$|^\w+=/.test(word)) at += 1;
    else if (/^(?:sudo|runuser)$/.test(word)) at += optionsLength(words.slice(at + 1)) + 1;
    else return at;
  }
}

function optionsLength(words: readonly string[]): number {
  let at = 0;
  while (words[at]?.startsWith('-') === true && words[at] !== '--') at += words[at] === '-u' ? 2 : 1;
  return at;
}

const token =
  /\s+|#.*|\d?[<>]+&?\s*[^\s;|&()]+|&&|\|\|?|;|&|\$\(|[()]|(?:"(?:\\.|[^"\\])*"|'[^']*'|\\.|[^\s"'\\;|&()<>])+|./gy;

/** Splits a line at what separates commands, and each into words without quotes, redirections and comments. */
function simpleCommands(line: string): string[][] {
  const commands: string[][] = [[]];
  const opened = line.replaceAll(/"\$\((.*?)\)"/g, '$($1)');
  for (const [text] of opened.matchAll(token)) {
    if (/^(?:\s|#|\d?[<>])/.test(text)) continue;
    if (/^(?:&&|\|\|?|;|&|\$\(|[()])$/.test(text)) commands.push([]);
    else commands.at(-1)?.push(text.replaceAll(/"((?:\\.|[^"\\])*)"|'([^']*)'/g, '$1$2'));
  }
  return commands.filter((words) => words.length > 0);
}
