/** `HF-5005` of `HF-5005`, `hf5005` and `5005`; undefined for what is no code. */
export function errorCode(word: string | undefined): string | undefined {
  const [, digits] = /^(?:hf-?)?(\d{4})$/i.exec(word ?? '') ?? [];
  return digits === undefined ? undefined : `HF-${digits}`;
}
