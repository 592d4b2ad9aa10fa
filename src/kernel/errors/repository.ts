import { defineErrors } from './define.ts';

export const repositoryErrors = defineErrors({});
