/**
 * Paths are bytes, and entries and people need text. A byte that is not part of valid UTF-8, a control character and `%`
 * itself are written `%XX`; everything else stands as it is. So ordinary names look ordinary, every name has a text, and
 * no two have the same.
 */
export function pathText(bytes: Uint8Array): string {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const text = buffer.toString('utf8');
  if (!needsEscape.test(text)) return text;
  let shown = '';
  for (let at = 0; at < buffer.length;) {
    const length = sequenceLength(buffer, at);
    const piece = buffer.subarray(at, at + Math.max(1, length));
    const character = piece.toString('utf8');
    shown += length === 0 || mustEscape.test(character) ? escapeBytes(piece) : character;
    at += piece.length;
  }
  return shown;
}

/** The bytes of such a text. A `%` that is not followed by two hex digits stands for itself. */
export function pathBytes(text: string): Buffer {
  if (!text.includes('%')) return Buffer.from(text);
  const pieces = text.split(/(%[0-9A-Fa-f]{2})/);
  return Buffer.concat(
    pieces.map((piece, index) =>
      index % 2 === 1 ? Buffer.from([Number.parseInt(piece.slice(1), 16)]) : Buffer.from(piece),
    ),
  );
}

// Where bytes were no UTF-8, decoding leaves U+FFFD, which then has to be told from a real one.
// eslint-disable-next-line no-control-regex
const needsEscape = /[\u0000-\u001F\u007F%\uFFFD]/;
// eslint-disable-next-line no-control-regex
const mustEscape = /^[\u0000-\u001F\u007F%]$/;

function escapeBytes(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`).join('');
}

/** How many bytes the UTF-8 character at `at` has; 0 when there is none. */
function sequenceLength(buffer: Buffer, at: number): number {
  const lead = buffer[at] ?? 0;
  const length = lead < 0x80 ? 1 : lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0;
  const piece = buffer.subarray(at, at + length);
  return piece.length === length && Buffer.from(piece.toString('utf8')).equals(piece) ? length : 0;
}
