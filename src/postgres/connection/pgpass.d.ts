declare module 'pgpass' {
  export default function pgpass(
    key: { host: string; port: number; database: string; user: string },
    callback: (password: string | undefined) => void,
  ): void;
}
