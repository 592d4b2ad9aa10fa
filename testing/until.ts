import { setTimeout as delay } from 'node:timers/promises';

/** Waits for something outside this process to become true, looking again with growing pauses. */
export async function until(
  condition: () => boolean | Promise<boolean>,
  what = 'the condition',
  withinMs = 15_000,
): Promise<void> {
  const deadline = Date.now() + withinMs;
  for (let pauseMs = 5; !(await condition()); pauseMs = Math.min(pauseMs * 1.5, 200)) {
    if (Date.now() > deadline) throw new Error(`${what} did not come true within ${withinMs} ms`);
    await delay(pauseMs);
  }
}
