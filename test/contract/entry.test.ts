import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { entrySchema, parseEntry } from '../../src/contract/stream.ts';

const root = fc.oneof(
  fc.constant(null),
  fc.stringMatching(/^[0-9a-f]{64}$/),
  fc.constant('x'),
  fc.constant(3),
);
const number = fc.oneof(fc.integer({ min: -1, max: 9 }), fc.constant(1.5), fc.constant('1'));
const stream = fc.oneof(
  fc.constant(null),
  fc.record({ size_bytes: number, root, depth: number }, { requiredKeys: [] }),
  fc.constant([]),
);
const entry = fc.record(
  {
    path: fc.oneof(fc.string({ maxLength: 2 }), fc.constant(1)),
    kind: fc.string({ maxLength: 2 }),
    stream,
    meta: fc.oneof(fc.dictionary(fc.string(), fc.jsonValue()), fc.constant([]), fc.constant(null)),
    more: fc.constant(1),
  },
  { requiredKeys: [] },
);

test('the short way takes exactly what the schema takes', () => {
  fc.assert(
    fc.property(entry, (drawn) => {
      const value = JSON.parse(JSON.stringify(drawn)) as unknown;
      const known = entrySchema.safeParse(value);
      if (known.success) assert.deepEqual(parseEntry(value), known.data);
      else assert.throws(() => parseEntry(value));
    }),
    { numRuns: 5000 },
  );
});
