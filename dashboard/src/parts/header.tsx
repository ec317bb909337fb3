// The head of the page: where the reader is, whose picture it is, how fresh, dark or light.
import { useState } from 'preact/hooks';
import type { Route } from '../data/route';
import type { State } from '../data/store';
import { setTheme, theme, type Theme } from '../data/theme';
import { Age } from './lost';

const VIEWS = [
  { view: 'overview', title: 'Overview', href: '#/' },
  { view: 'live', title: 'Live', href: '#/live' },
  { view: 'security', title: 'Security', href: '#/security' },
  { view: 'timeline', title: 'Timeline', href: '#/timeline' },
] as const;

/** The head of the page. */
export function Header({ route, state }: { route: Route; state: State }) {
  return (
    <header class="top">
      <a class="brand" href="#/" aria-label="Mesh, overview">
        <Logo />
        <span>mesh</span>
      </a>
      <nav aria-label="Views">
        {VIEWS.map(({ view, title, href }) => (
          <a
            key={view}
            href={href}
            aria-current={
              isUnder(route, view) ? (route.view === view ? 'page' : 'true') : undefined
            }
          >
            {title}
          </a>
        ))}
      </nav>
      <div class="whose">
        {state.mesh && (
          <span class="observer">
            seen by <strong>{state.mesh.picture.observer}</strong>
          </span>
        )}
        <Freshness state={state} />
        <Switch />
      </div>
    </header>
  );
}

/** The page of a service is reached from the overview. */
const isUnder = (route: Route, view: string): boolean =>
  route.view === view || (route.view === 'service' && view === 'overview');

function Freshness({ state }: { state: State }) {
  const { link } = state;
  if (link.phase === 'lost') return <span class="fresh off">not connected</span>;
  if (link.phase !== 'ok') return <span class="fresh">reading…</span>;
  return (
    <span class="fresh on">
      <Age readAt={state.readAt} />
    </span>
  );
}

const NEXT: Record<Theme, Theme> = { system: 'light', light: 'dark', dark: 'system' };
const SIGNS: Record<Theme, string> = { system: 'Auto', light: 'Light', dark: 'Dark' };

function Switch() {
  const [now, set] = useState(theme());
  const change = (): void => {
    setTheme(NEXT[now]);
    set(NEXT[now]);
  };
  return (
    <button
      type="button"
      class="theme"
      onClick={change}
      title={`Colours: ${SIGNS[now]}. Next: ${SIGNS[NEXT[now]]}`}
    >
      <svg viewBox="0 0 16 16" width="14" height="14" aria-hidden="true">
        <circle cx="8" cy="8" r="6.2" class="ring" />
        <path d="M8 1.8a6.2 6.2 0 0 1 0 12.4z" class="half" />
      </svg>
      <span class="hidden">Colours: </span>
      {SIGNS[now]}
    </button>
  );
}

function Logo() {
  return (
    <svg viewBox="0 0 20 20" width="20" height="20" aria-hidden="true" class="logo">
      <path d="M4 5l12 4M4 5l5 10M16 9l-7 6" />
      <circle cx="4" cy="5" r="2.4" />
      <circle cx="16" cy="9" r="2.4" />
      <circle cx="9" cy="15" r="2.4" />
    </svg>
  );
}
