// Generated from src/ by scripts/addon.mjs. Do not edit.
export declare class NativeMesh {
  constructor(configJson: string, envJson: string, onEvents: (batch: Buffer) => void)
  start(): Promise<void>
  address(): { host: string, port: number } | null
  publicKey(): string
  submit(batch: Buffer): void
  stats(): string
  health(): Promise<string>
  close(drainMs: number): Promise<void>
}
