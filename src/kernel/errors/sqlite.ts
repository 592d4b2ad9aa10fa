import { defineErrors } from './define.ts';

/** SQLite databases: HF-5101 and following. */
export const sqliteErrors = defineErrors({});
