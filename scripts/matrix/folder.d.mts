/** A fresh project for an environment. */
export class Folder {
  constructor(path: string, tarballs: string[]);
  readonly path: string;
  readonly env: Record<string, string>;
  install(tools?: Record<string, string>): Promise<void>;
}
