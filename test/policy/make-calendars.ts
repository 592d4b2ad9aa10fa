import { mkdirSync, writeFileSync } from 'node:fs';
import { calendarDirectory, calendarOf, calendars } from './calendars.ts';

// Writes the calendars anew. Read them before they are committed: they are what the policies are judged by.
mkdirSync(calendarDirectory, { recursive: true });
for (const { zone, file, now } of calendars)
  writeFileSync(new URL(file, calendarDirectory), calendarOf(zone, now));
