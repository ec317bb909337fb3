// Methods of Buffer that Node's types omit: the variants without the lookup of an encoding.
declare global {
  interface Buffer {
    utf8Write(text: string, offset?: number, length?: number): number;
    utf8Slice(start?: number, end?: number): string;
  }
}

export {};
