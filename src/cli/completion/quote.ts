/** As one word of a shell, whatever is in it: of bash, zsh and every other that closes a quote at a quote. */
export function quoted(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
