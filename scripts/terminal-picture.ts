/** What a terminal shows, as an SVG: plain text with the few colours that our programs use. */

const columnPx = 8.1;
const linePx = 19;
const marginPx = 22;
const barPx = 36;

const styles: Readonly<Record<string, string>> = { 1: 'b', 2: 'd', 31: 'r', 32: 'g', 36: 'c' };

/** `title` is for those who cannot see the picture, and for the bar of the window. */
export function terminalPicture(text: string, title: string): string {
  const lines = text.trimEnd().split('\n');
  const columns = Math.max(...lines.map((line) => [...withoutColours(line)].length));
  const width = Math.ceil(columns * columnPx + 2 * marginPx);
  const height = barPx + lines.length * linePx + 1.5 * marginPx;
  const rows = lines.map((line, index) => {
    const y = barPx + marginPx + index * linePx;
    return line === '' ? '' : `<text x="${marginPx}" y="${y}">${spans(line)}</text>\n`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img">
<title>${escape(title)}</title>
<style>
text { font: 13.5px ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; fill: #c9d1d9; white-space: pre }
.b { fill: #f0f6fc; font-weight: 700 }
.d { fill: #8b949e }
.r { fill: #ff7b72 }
.g { fill: #56d364 }
.c { fill: #79c0ff }
.bar { fill: #8b949e; text-anchor: middle }
</style>
<rect x="0.5" y="0.5" width="${width - 1}" height="${height - 1}" rx="9" fill="#0d1117" stroke="#444c56"/>
<circle cx="22" cy="18" r="6" fill="#ff5f57"/><circle cx="42" cy="18" r="6" fill="#febc2e"/><circle cx="62" cy="18" r="6" fill="#28c840"/>
<text class="bar" x="${width / 2}" y="23">${escape(title)}</text>
<g xml:space="preserve">
${rows.join('')}</g>
</svg>
`;
}

/** Text between two colour codes is in the style of the first. */
function spans(line: string): string {
  const [start = '', ...coded] = line.split('\u001b[');
  const rest = coded.map((piece) => {
    const end = piece.indexOf('m');
    const style = styles[piece.slice(0, end)];
    const shown = escape(piece.slice(end + 1));
    return style === undefined || shown === '' ? shown : `<tspan class="${style}">${shown}</tspan>`;
  });
  return escape(start) + rest.join('');
}

function withoutColours(text: string): string {
  return text
    .split('\u001b[')
    .map((piece, index) => (index === 0 ? piece : piece.slice(piece.indexOf('m') + 1)))
    .join('');
}

/** The lines that such a picture shows, without the empty ones. */
export function pictureText(svg: string): string {
  const rows = [...svg.matchAll(/<text x="[^>]*>(.*)<\/text>/g)].map(([, row = '']) => row);
  return rows
    .map((row) => row.replaceAll(/<[^>]*>/g, ''))
    .join('\n')
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&amp;', '&');
}

function escape(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
