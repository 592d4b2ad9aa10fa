/**
 * The URL of a module beside `base` (an `import.meta.url`), for worker threads. Written with `.ts`; in the compiled
 * package, where `base` ends in `.js`, it names the compiled module.
 */
export function siblingModule(base: string, path: `./${string}.ts` | `../${string}.ts`): URL {
  return new URL(base.endsWith('.js') ? path.replace(/\.ts$/, '.js') : path, base);
}
