// Generated from src/ by scripts/addon.mjs. Do not edit.
/** A mesh, driven by batches of commands and answering with batches of events. */
export declare class NativeMesh {
  constructor(config: string, variables: string, onWake: () => void)
  start(): Promise<void>
  address(): { host: string, port: number } | null
  publicKey(): string
  submit(batch: Buffer): void
  take(): Buffer | null
  stats(): Promise<string>
  close(drainMs: number): Promise<void>
}
