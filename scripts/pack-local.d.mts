export function pack(directory: string, options?: { allPlatforms?: boolean }): Promise<string[]>;
