/** PostgreSQL's server encodings by the label the Encoding Standard has for them, where they mean the same. */
const labels: Readonly<Record<string, string>> = {
  UTF8: 'utf-8',
  EUC_JP: 'euc-jp',
  EUC_KR: 'euc-kr',
  EUC_CN: 'gbk',
  LATIN1: 'latin1',
  LATIN2: 'iso-8859-2',
  LATIN3: 'iso-8859-3',
  LATIN4: 'iso-8859-4',
  LATIN5: 'windows-1254',
  LATIN6: 'iso-8859-10',
  LATIN7: 'iso-8859-13',
  LATIN8: 'iso-8859-14',
  LATIN9: 'iso-8859-15',
  LATIN10: 'iso-8859-16',
  ISO_8859_5: 'iso-8859-5',
  ISO_8859_6: 'iso-8859-6',
  ISO_8859_7: 'iso-8859-7',
  ISO_8859_8: 'iso-8859-8',
  KOI8R: 'koi8-r',
  KOI8U: 'koi8-u',
  WIN866: 'ibm866',
  WIN874: 'windows-874',
  WIN1250: 'windows-1250',
  WIN1251: 'windows-1251',
  WIN1252: 'windows-1252',
  WIN1253: 'windows-1253',
  WIN1254: 'windows-1254',
  WIN1255: 'windows-1255',
  WIN1256: 'windows-1256',
  WIN1257: 'windows-1257',
  WIN1258: 'windows-1258',
};

/**
 * Text of an archive in a server encoding, for names shown and compared. Where the encoding is not known here, or the
 * bytes do not fit it (SQL_ASCII takes any), UTF-8 is tried and then one character per byte. What is stored and
 * restored are always the bytes themselves.
 */
export function archiveDecoder(encoding: string): (bytes: Uint8Array) => string {
  const label = labels[encoding];
  const decoder = new TextDecoder(label ?? 'utf-8', { fatal: true, ignoreBOM: true });
  return (bytes) => {
    if (encoding === 'LATIN1')
      return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');
    try {
      return decoder.decode(bytes);
    } catch (error) {
      if (!(error instanceof TypeError)) throw error;
      return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');
    }
  };
}
