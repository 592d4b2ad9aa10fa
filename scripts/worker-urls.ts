// tsc rewrites `./x.ts` in imports, but not in `new URL('./x.ts', import.meta.url)`, which names workers and tasks.
const workerUrl = /(new URL\(\s*['"`])(\.{1,2}\/[^'"`]+)(['"`]\s*,\s*import\.meta\.url\s*\))/g;

/** The compiled module with its worker URLs pointing to compiled modules. */
export function rewriteWorkerUrls(code: string): string {
  return code.replaceAll(
    workerUrl,
    (_, before: string, specifier: string, after: string) =>
      before + specifier.replace(/\.ts$/, '.js') + after,
  );
}

const sibling = /siblingModule\(\s*import\.meta\.url\s*,\s*['"`](\.{1,2}\/[^'"`]+)['"`]/g;

/** The relative URLs a compiled module names that do not exist, those it turns into `.js` when it runs included. */
export function checkWorkerUrls(code: string, exists: (specifier: string) => boolean): string[] {
  const named = [
    ...[...code.matchAll(workerUrl)].map((match) => match[2] ?? ''),
    ...[...code.matchAll(sibling)].map((match) => (match[1] ?? '').replace(/\.ts$/, '.js')),
  ];
  return named.filter((specifier) => !exists(specifier));
}
