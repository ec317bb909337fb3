// The view by the hash of the address: it needs no server, and back and forward work.
import { useEffect, useState } from 'preact/hooks';

export type Route =
  | { view: 'overview' }
  | { view: 'service'; service: string }
  | { view: 'live' }
  | { view: 'security' }
  | { view: 'timeline' };

/** Reads a hash. An unknown one is the overview. */
export function parseRoute(hash: string): Route {
  const [view, name] = hash.replace(/^#\/?/, '').split('/');
  if (view === 'service' && name) {
    try {
      return { view, service: decodeURIComponent(name) };
    } catch {
      return { view: 'overview' };
    }
  }
  if (view === 'live' || view === 'security' || view === 'timeline') return { view };
  return { view: 'overview' };
}

/** Returns the address of the view of a service. */
export function serviceHref(service: string): string {
  return `#/service/${encodeURIComponent(service)}`;
}

/** Returns the route, and draws the component again when it changes. */
export function useRoute(): Route {
  const [hash, set] = useState(location.hash);
  useEffect(() => {
    const changed = (): void => set(location.hash);
    addEventListener('hashchange', changed);
    return () => removeEventListener('hashchange', changed);
  }, []);
  return parseRoute(hash);
}
