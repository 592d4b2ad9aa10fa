import { defineErrors } from './define.ts';

export const keyErrors = defineErrors({});
