// Marks of states. Their forms differ, not only their colours.
import type { Health } from '../figures/health';

const WORDS: Record<Health, string> = {
  critical: 'Critical',
  warning: 'Warning',
  ok: 'Healthy',
  unknown: 'Unknown',
};

/** A square for critical, a triangle for a warning, a disc for healthy, a ring for unknown. */
export function Mark({ health, quiet }: { health: Health; quiet?: boolean }) {
  return (
    <svg
      class={`mark ${health}`}
      viewBox="0 0 16 16"
      width="16"
      height="16"
      {...(quiet ? { 'aria-hidden': 'true' } : { role: 'img', 'aria-label': WORDS[health] })}
    >
      {shape(health)}
    </svg>
  );
}

function shape(health: Health) {
  switch (health) {
    case 'critical':
      return (
        <>
          <rect x="1.5" y="1.5" width="13" height="13" rx="2.5" class="fill" />
          <path d="M5.5 5.5l5 5m0-5l-5 5" class="ink" />
        </>
      );
    case 'warning':
      return (
        <>
          <path d="M8 1.6l6.8 12.2H1.2z" class="fill" />
          <path d="M8 6.2v3.6m0 1.6v.6" class="ink" />
        </>
      );
    case 'ok':
      return <circle cx="8" cy="8" r="4" class="fill" />;
    case 'unknown':
      return <circle cx="8" cy="8" r="4" class="ring" />;
  }
}
