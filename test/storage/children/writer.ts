/**
 * A process of its own for tests: `writer.ts DIRECTORY [UID]`. Says `ready`, then does one command per line of its input,
 * answering each with one line of JSON: `{"put": NAME, "seed": N, "size": N}`,
 * `{"list": PREFIX}` or `{"endless": SIZE, "from": N}`.
 */
import { createHash } from 'node:crypto';
import { createInterface } from 'node:readline';
import { isFailure } from '../../../src/kernel/errors/failure.ts';
import { openFsStorage } from '../../../src/storage/fs/open.ts';
import { namesOf, pattern } from '../../../testing/storage-conformance.ts';

type Command =
  | { readonly put: string; readonly seed: number; readonly size: number }
  | { readonly list: string }
  | { readonly endless: number; readonly from: number };

const say = (value: unknown): void => {
  process.stdout.write(`${JSON.stringify(value)}\n`);
};
const described = (error: unknown): unknown =>
  isFailure(error)
    ? { failed: error.errorName, message: error.message, hint: error.hint }
    : { failed: String(error) };

const [directory = '', uid] = process.argv.slice(2);
if (uid !== undefined) {
  process.setgroups?.([]);
  process.setgid?.(Number(uid));
  process.setuid?.(Number(uid));
}
try {
  const storage = await openFsStorage(directory, { create: true });
  say('ready');
  for await (const line of createInterface({ input: process.stdin })) {
    const command = JSON.parse(line) as Command;
    if ('put' in command) {
      const outcome = await storage
        .put(command.put, pattern(command.size, command.seed))
        .then(() => 'done', described);
      say(outcome);
    } else if ('list' in command) {
      say(await namesOf(storage.list(command.list)).catch(described));
    } else {
      for (let seed = command.from; ; seed += 1) {
        const data = pattern(command.endless, seed);
        const name = `objects/${createHash('sha256').update(data).digest('hex')}`;
        await storage.put(name, data);
        say(name);
      }
    }
  }
} catch (error) {
  say(described(error));
}
