// Methods of Buffer that Node has and its types leave out: the ones without
// the work of finding out which encoding is meant.
declare global {
  interface Buffer {
    utf8Write(text: string, offset?: number, length?: number): number;
    utf8Slice(start?: number, end?: number): string;
  }
}

export {};
