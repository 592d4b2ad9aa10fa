import { PageBuffer } from '../../../postgres/page/checksum.ts';

/** A whole number of pieces and of pages of every size. */
export const windowBytes = 1024 * 1024;
const mostIdle = 2;
const idle: PageBuffer[] = [];

/** A buffer for pages, lent again and again by one thread: the system has to clear every new one. */
export function takePageBuffer(pageBytes: number): PageBuffer {
  const at = idle.findIndex((buffer) => buffer.pageBytes === pageBytes);
  return idle.splice(at, at < 0 ? 0 : 1)[0] ?? new PageBuffer(pageBytes, windowBytes);
}

/** Only what nobody looks at any more. */
export function giveBackPageBuffer(buffer: PageBuffer): void {
  if (idle.length < mostIdle) idle.push(buffer);
}
