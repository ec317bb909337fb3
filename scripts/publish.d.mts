/** What npm says of a package that it would publish. */
interface Published {
  id: string;
  name: string;
  version: string;
  files: { path: string; size: number }[];
}
export function publish(
  binaries: string,
  options?: { dryRun?: boolean },
): Promise<Record<string, Published | undefined>>;
