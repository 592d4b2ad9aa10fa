import { stripVTControlCharacters, styleText } from 'node:util';
import type { Plain } from './plain.ts';

type LogRecord = Readonly<Record<string, Plain>>;
const colours = { debug: 'gray', info: 'green', warn: 'yellow', error: 'red' } as const;
const ownFields = new Set(['level', 'time', 'msg', 'error']);

/** One line for people: `12:00:01 WARN  message key=value`, and below it the error if there is one. */
export function prettyLine(record: LogRecord, colour: boolean): string {
  const level = text(record['level']) as keyof typeof colours;
  const time = text(record['time']).slice(11, 19);
  const label = level.toUpperCase().padEnd(5);
  const fields = Object.entries(record)
    .filter(([name]) => !ownFields.has(name))
    .map(
      ([name, value]) =>
        `${name}=${typeof value === 'string' && !/[\s"=]/.test(value) ? value : JSON.stringify(value)}`,
    );
  const paint = (style: Parameters<typeof styleText>[0], text: string): string =>
    colour && text !== '' ? styleText(style, text, { validateStream: false }) : text;
  const line = [
    paint('gray', time),
    paint(colours[level], label),
    printable(text(record['msg'])),
    ...(fields.length === 0 ? [] : [paint('gray', printable(fields.join(' ')))]),
  ].join(' ');
  // Of what may pass and is tried again nobody needs to know where in the code it came up.
  const frames = level === 'error' || level === 'debug';
  return [line, ...errorLines(record['error'], frames)].join('\n') + '\n';
}

function errorLines(error: Plain | undefined, frames: boolean): string[] {
  if (error === undefined || error === null) return [];
  if (typeof error !== 'object' || Array.isArray(error)) return [`  ${printable(JSON.stringify(error))}`];
  const { name, code, message, hint, cause, stack } = error as LogRecord;
  return [
    `  ${printable(`${text(code ?? name ?? 'error')}: ${text(message)}`)}`,
    ...(typeof hint === 'string' ? [`  hint: ${printable(hint)}`] : []),
    ...(frames && typeof stack === 'string'
      ? stack
          .split('\n')
          .slice(1)
          .map((frame) => `  ${printable(frame)}`)
      : []),
    ...(cause === undefined ? [] : ['  caused by:', ...errorLines(cause, frames)]),
  ];
}

const text = (value: Plain | undefined): string =>
  typeof value === 'string' ? value : JSON.stringify(value ?? null);

/** File names and server messages may hold escape sequences; a log must not obey them. */
function printable(text: string): string {
  return stripVTControlCharacters(text).replaceAll(/\p{Cc}/gu, ' ');
}
