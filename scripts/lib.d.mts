export const root: string;
export function tool(packageName: string, binary?: string): string;
export const manifest: { name: string; version: string; scripts: Record<string, string> };
