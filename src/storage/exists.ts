import { isFailure } from '../kernel/errors/failure.ts';
import type { Storage } from './port.ts';

/** Whether there is an object of that name: asked by name, for a listing may lag behind. */
export async function exists(storage: Storage, name: string, signal?: AbortSignal): Promise<boolean> {
  try {
    await storage.stat(name, { signal });
    return true;
  } catch (error) {
    if (isFailure(error, 'object_missing')) return false;
    throw error;
  }
}
