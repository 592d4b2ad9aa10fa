import type { Secret } from './secret.ts';

const mask = '***';

// scheme://user:password@host. The password runs to the last @ before white space, because people paste passwords
// with an unescaped @, quote or slash in them: hiding too much is harmless, hiding too little is not.
// A port followed by a path (http://host:8080/a@b) is the one thing that looks alike and is left alone.
// Every repetition has a bound, so that no text takes long.
const urlPassword =
  /\b([a-z][a-z0-9+.-]{0,30}:\/\/[^\s:/]{0,256}):(?!\d{1,5}[/?#][^\s:]{0,1024}(?:\s|$))\S{0,1024}@/gi;

// A whole argument or setting that is a URL, or was to be one: the password runs to its last @, over anything.
const wholeUrl =
  /^((?:--?[\w-]{1,60}=)?[a-z][a-z0-9+.-]{0,30}:?\/\/[^:]{0,256}):(?!\d{1,5}[/?#][^\s:]{0,1024}$)[^]*@([^@]*)$/i;

const secretWord =
  '(?:password|passwd|passphrase|pwd|secret|token|api[-_]?key|access[-_]?key|private[-_]?key|credential|signature)s?';
const secretName = new RegExp(`${secretWord}$`, 'i');

const quotedValue = String.raw`"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'`;

// password=x, "password": "x", PGPASSWORD='x y', --passphrase x, ?password=x&
const assignment = new RegExp(
  String.raw`(${secretWord}["']?(?:\s{0,8}=\s{0,8}|(?<=--[\w-]{0,60})\s{1,8}))(${quotedValue}|[^\s&,;"'})\]]+)`,
  'gi',
);
const quotedAssignment = new RegExp(String.raw`(${secretWord}["']?\s{0,8}:\s{0,8})(${quotedValue})`, 'gi');
// YAML, as parsers quote it in their errors: a key at the start of a line, or inside braces.
const yamlAssignment = new RegExp(
  String.raw`(^[ \t]{0,80}(?:- )?[\w-]{0,60}${secretWord}:[ \t]{1,8})(?!\*\*\*)(\S.*)$`,
  'gim',
);
const flowAssignment = new RegExp(
  String.raw`([{,]\s{0,8}[\w-]{0,60}${secretWord}:\s{0,8})([^\s,}"'][^,}]*)`,
  'gi',
);

const bearer =
  /\b((?:proxy-)?authorization["']?\s{0,8}[=:]\s{0,8}["']?(?:[a-z]{1,20}\s{1,8})?|bearer\s{1,8})[a-z0-9+/=._~-]{8,}/gi;

/** Shorter ones would blank out ordinary words. */
const shortestKnownSecret = 4;

/**
 * The text without what looks like a password: in URLs, in connection strings, in JSON and after flags;
 * and without the values of `secrets`, wherever they stand and also percent-encoded.
 */
export function redact(text: string, secrets: Iterable<Secret> = []): string {
  let result = text;
  for (const secret of secrets) {
    const value = secret.reveal();
    if (value.length < shortestKnownSecret) continue;
    for (const form of new Set([value, encodeURIComponent(value.toWellFormed())])) {
      result = result.replaceAll(form, () => mask);
    }
  }
  result = result.replaceAll(urlPassword, (_, before: string) => `${before}:${mask}@`);
  for (const pattern of [quotedAssignment, yamlAssignment, flowAssignment, assignment, bearer]) {
    result = result.replaceAll(pattern, (_, before: string) => before + mask);
  }
  return result;
}

/** As {@link redact}, for a text that is one argument or one setting, which may be a URL with anything in its password. */
export function redactWhole(text: string, secrets: Iterable<Secret> = []): string {
  return redact(
    text.replace(wholeUrl, (_, before: string, after: string) => `${before}:${mask}@${after}`),
    secrets,
  );
}

/** Whether a field, flag or variable of this name holds a secret: `password`, `PGPASSWORD`, `--api-key`. */
export function isSecretName(name: string): boolean {
  return secretName.test(name);
}

/** A command line with its secrets masked: `--password=x`, `--password x`, and URLs with a password. */
export function redactArguments(args: readonly string[], secrets: readonly Secret[] = []): string[] {
  return args.map((arg, index) => {
    const [flag, ...value] = arg.split('=');
    if (flag !== undefined && flag.startsWith('-') && value.length > 0 && isSecretName(flag))
      return `${flag}=${mask}`;
    const previous = args[index - 1];
    if (previous?.startsWith('-') === true && !arg.startsWith('-') && isSecretName(previous)) return mask;
    return redactWhole(arg, secrets);
  });
}
