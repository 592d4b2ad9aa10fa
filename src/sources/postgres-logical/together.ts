/** Runs all at once. The first failure stops the others, and is thrown once every one of them has ended. */
export async function together<T>(
  bodies: readonly ((signal: AbortSignal) => Promise<T>)[],
  signal: AbortSignal,
): Promise<T[]> {
  const failed = new AbortController();
  const either = AbortSignal.any([signal, failed.signal]);
  const settled = await Promise.allSettled(
    bodies.map(async (body) => {
      try {
        return await body(either);
      } catch (error) {
        failed.abort(error); // only the first gives the reason
        throw error;
      }
    }),
  );
  signal.throwIfAborted();
  failed.signal.throwIfAborted();
  return settled.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
}
