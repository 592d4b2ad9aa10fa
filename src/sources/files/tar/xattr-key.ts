/** Names of extended attributes within a key: `=` would end it. */
export function xattrKey(name: string): string {
  return `SCHILY.xattr.${name.replaceAll('%', '%25').replaceAll('=', '%3D')}`;
}

export function xattrName(key: string): string {
  return key.slice('SCHILY.xattr.'.length).replaceAll('%3D', '=').replaceAll('%25', '%');
}
