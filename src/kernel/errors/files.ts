import { defineErrors } from './define.ts';

/** Directories and files: HF-5201 and following. */
export const filesErrors = defineErrors({});
