export const root: string;
export function tool(packageName: string, binary?: string): string;
export const manifest: { name: string; version: string; scripts: Record<string, string> };
export const FEATURES_OF_TESTS: string[];
export function targetDirectory(): Promise<string>;
