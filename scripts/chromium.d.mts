/** Returns the path of an installed Chromium, or undefined. */
export function findChromium(): string | undefined;

/** Returns the path of Chromium, installed if need be; undefined where there is none. */
export function chromium(): Promise<string | undefined>;
