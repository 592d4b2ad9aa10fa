import { createCipheriv } from 'node:crypto';
import { crc32, deflateSync } from 'node:zlib';

/** Bytes that look random and are the same for the same seed. */
export function noise(seed: number, bytes: number): Buffer {
  const start = Buffer.alloc(16);
  start.writeUInt32BE(seed);
  return createCipheriv('aes-128-ctr', Buffer.alloc(16, 'holdfast'), start).update(Buffer.alloc(bytes));
}

/** A picture that viewers can show, as PNG: one colour that fades from corner to corner, and grain. */
export function picture(seed: number, width: number, height: number): Buffer {
  const [red = 0, green = 0, blue = 0] = noise(seed, 3);
  const grain = noise(seed + 1, width * height);
  const rowBytes = 1 + 3 * width;
  // The first byte of each row says that the row is as it is.
  const pixels = Buffer.alloc(rowBytes * height);
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) {
      const shade = 0.4 + (0.5 * (x + y)) / (width + height) + (grain[y * width + x] ?? 0) / 2560;
      pixels.set([red * shade, green * shade, blue * shade], y * rowBytes + 1 + 3 * x);
    }
  }
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  // Eight bits a channel, red, green and blue.
  header.set([8, 2], 8);
  const signature = Buffer.from('89504e470d0a1a0a', 'hex');
  return Buffer.concat([
    signature,
    part('IHDR', header),
    part('IDAT', deflateSync(pixels, { level: 1 })),
    part('IEND', Buffer.alloc(0)),
  ]);
}

function part(type: string, content: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), content]);
  const framed = Buffer.alloc(body.length + 8);
  framed.writeUInt32BE(content.length, 0);
  body.copy(framed, 4);
  framed.writeUInt32BE(crc32(body), body.length + 4);
  return framed;
}

export function invoice(number: number, day: string): Buffer {
  const lines = Array.from({ length: 1 + (number % 4) }, (_, line) => {
    const product = 1 + ((number * 7919 + line * 104_729) % 800);
    return `  ${line + 1}  HF-${String(product).padStart(6, '0')}  ${(4.9 + (product % 290)).toFixed(2)} EUR`;
  });
  return Buffer.from(`Invoice ${number}\n${day}\n\n${lines.join('\n')}\n\nThank you for your order.\n`);
}
