import { writeFile } from 'node:fs/promises';
import { configReference } from '../src/contract/config-reference.ts';

await writeFile(new URL('../docs/configuration.md', import.meta.url), configReference());
