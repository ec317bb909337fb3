// The live stream for views: open while one of them is in sight.
import { useEffect, useState } from 'preact/hooks';
import { LiveTail } from './live';

const listeners = new Set<() => void>();
const tail = new LiveTail(() => {
  for (const listener of listeners) listener();
});

/** Returns the live stream, and draws the component again as it grows. */
export function useTail(): LiveTail {
  const [, draw] = useState(0);
  useEffect(() => {
    const listener = (): void => draw((n) => n + 1);
    const follow = (): void => {
      if (document.hidden) tail.close();
      else tail.open();
    };
    listeners.add(listener);
    document.addEventListener('visibilitychange', follow);
    follow();
    return () => {
      listeners.delete(listener);
      document.removeEventListener('visibilitychange', follow);
      tail.close();
    };
  }, []);
  return tail;
}
