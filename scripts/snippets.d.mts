/** A block of a Markdown file. */
export interface Snippet {
  file: string;
  heading: string;
  line: number;
  code: string;
  prelude: string[];
  peer: string[];
  postlude: string[];
}
export function extractSnippets(file: string): Snippet[];
export function assemble(snippet: Snippet): string;
export function wrapForCommonJs(module: string): string;
export function makeProject(directory: string): void;
