const red = '\u001b[31m';
const yellow = '\u001b[33m';
const reset = '\u001b[0m';

/** What every shown error has, whether it was thrown or came in a result. */
export interface ShownError {
  readonly code: string;
  readonly message: string;
  readonly hint: string;
  readonly problems?: readonly string[];
}

/** `error[HF-XXXX]: …`, `hint: …`, `docs: …`. */
export function errorText(error: ShownError, colour: boolean, prefix = ''): string {
  const head = paint(`error[${error.code}]:`, red, colour);
  const more = (error.problems ?? []).slice(1).map((problem) => `  also: ${problem}\n`);
  return `${head} ${prefix}${error.message}\n${more.join('')}hint: ${error.hint}\ndocs: docs/errors.md#${error.code.toLowerCase()}\n`;
}

export function noticeText(
  level: 'info' | 'warning',
  message: string,
  hint: string | undefined,
  colour: boolean,
): string {
  const head = level === 'warning' ? `${paint('warning:', yellow, colour)} ` : '';
  return `${head}${message}\n${hint === undefined ? '' : `hint: ${hint}\n`}`;
}

/** The error inside a result of the app. */
export function shownError(json: Readonly<Record<string, unknown>>): ShownError {
  const details = json['details'] as { readonly problems?: readonly string[] } | undefined;
  return {
    code: String(json['code']),
    message: String(json['message']),
    hint: String(json['hint']),
    ...(details?.problems === undefined ? {} : { problems: details.problems }),
  };
}

function paint(text: string, colour: string, on: boolean): string {
  return on ? `${colour}${text}${reset}` : text;
}
