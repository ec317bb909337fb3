export const root: string;
export function tool(packageName: string, binary?: string): string;
export const manifest: { scripts: Record<string, string> };
