// The sentence for a page whose admin port no longer answers.
import { useEffect, useState } from 'preact/hooks';
import { Clock } from './figure';
import { span } from '../figures/format';

/** Says since when there is no answer, why, and that the picture is old. */
export function LostBanner({ since, why }: { since: number; why: string }) {
  return (
    <div class="lost" role="alert">
      <p>
        <strong>No answer from the admin port</strong> since <Clock at={since} now={Date.now()} />.{' '}
        {why} The page shows its last picture and tries again every 2 s.
      </p>
      <p class="repair">
        <span class="arrow" aria-hidden="true">
          →
        </span>
        Check that the process runs and that this machine reaches its port.
      </p>
    </div>
  );
}

/** Returns the time, and draws the component again every second. */
export function useSeconds(): number {
  const [now, set] = useState(Date.now());
  useEffect(() => {
    const timer = setInterval(() => set(Date.now()), 1000);
    return () => clearInterval(timer);
  }, []);
  return now;
}

/** Says how old the picture is. */
export function Age({ readAt }: { readAt: number }) {
  const now = useSeconds();
  const age = now - readAt;
  return <span class="num">{age < 4000 ? 'live' : `${span(age)} old`}</span>;
}
