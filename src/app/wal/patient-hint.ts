/** A hint for those who need not type anything to try again: it is done for them. Undefined when that was all it said. */
export function patientHint(hint: string): string | undefined {
  const rest = hint.replace(/(?:^|,? (?:and|then) |, )run the same command again.*$/s, '');
  return rest === '' ? undefined : rest;
}
