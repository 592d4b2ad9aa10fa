// Preloaded (node --import) where programs of a checkout say `import … from 'holdfast'` or `require('holdfast')`: they
// get the sources, so that nothing has to be built before.
import { registerHooks } from 'node:module';

const own = new URL('../src/sdk/index.ts', import.meta.url).href;

registerHooks({
  resolve: (specifier, context, next) =>
    specifier === 'holdfast' ? { url: own, shortCircuit: true } : next(specifier, context),
});
