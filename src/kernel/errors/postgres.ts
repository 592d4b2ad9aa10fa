import { defineErrors } from './define.ts';

export const postgresErrors = defineErrors({});
