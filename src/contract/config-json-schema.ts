import { z } from 'zod';
import { configSchema } from './config.ts';

/** The JSON Schema (2020-12) of the configuration file, for editors and other programs. */
export function configJsonSchema(): Record<string, unknown> {
  const schema = z.toJSONSchema(configSchema, { io: 'input', target: 'draft-2020-12' });
  return { ...schema, title: 'Holdfast configuration' };
}
