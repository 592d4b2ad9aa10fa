import { z } from 'zod';
import { storageSections, type StorageSettings } from '../src/contract/config-storage.ts';

/** The settings of every kind of storage when nobody sets any. */
export const defaultStorageSettings: StorageSettings = z.strictObject(storageSections).parse({});
