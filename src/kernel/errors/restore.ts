import { defineErrors } from './define.ts';

export const restoreErrors = defineErrors({});
