import { InvalidArgumentError } from 'commander';

export function positiveInteger(text: string): number {
  if (!/^[1-9]\d{0,5}$/.test(text)) throw new InvalidArgumentError('It must be a whole number from 1.');
  return Number(text);
}

/** How many to keep: 0 as well, which means that the rule is not one. */
export function count(text: string): number {
  if (!/^\d{1,6}$/.test(text)) throw new InvalidArgumentError('It must be a whole number from 0.');
  return Number(text);
}

/** `10%` or `0.1`, above nothing and at most all. */
export function fraction(text: string): number {
  const part = share(text);
  if (part === 0) throw new InvalidArgumentError('It must be a share such as 10% or 0.1.');
  return part;
}

/** `10%` or `0.1`, from nothing to all. */
export function share(text: string): number {
  const [, digits, percent] = /^(\d+(?:\.\d+)?|\.\d+)(%?)$/.exec(text) ?? [];
  const part = Number(digits) / (percent === '%' ? 100 : 1);
  if (digits === undefined || part > 1)
    throw new InvalidArgumentError('It must be a share such as 10% or 0.1.');
  return part;
}

export function keyValue(
  text: string,
  before: Readonly<Record<string, string>> | undefined,
): Readonly<Record<string, string>> {
  const at = text.indexOf('=');
  if (at < 1) throw new InvalidArgumentError('It must be key=value.');
  return { ...before, [text.slice(0, at)]: text.slice(at + 1) };
}

const units: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** `10s`, `72h`, `3d`: milliseconds. */
export function duration(text: string): number {
  const [, digits, unit] = /^(\d{1,9})(ms|s|m|h|d)$/.exec(text) ?? [];
  const ms = Number(digits) * (units[unit ?? ''] ?? 0);
  if (digits === undefined || ms === 0)
    throw new InvalidArgumentError('It must be a time with its unit, such as 72h or 3d.');
  return ms;
}
