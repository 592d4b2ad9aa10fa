/** What verifications have found, and which packs and WAL they have read. */
export const reportsPrefix = 'reports/';
