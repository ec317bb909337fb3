// The frame around the views: navigation, connection, theme, and the states in which there is no view.
import type { ComponentChildren } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { type Route, useRoute } from './data/route';
import { type State, useStore } from './data/store';
import { Header } from './parts/header';
import { LostBanner } from './parts/lost';
import { Live } from './views/live';
import { Login } from './views/login';
import { Empty, Loading, NeverReached } from './views/nothing';
import { Overview } from './views/overview';
import { Security } from './views/security';
import { ServiceView } from './views/service';
import { Timeline } from './views/timeline';

/** The whole page. */
export function App() {
  const state = useStore();
  const route = useRoute();
  useFilterKey();
  useTitle(route, state);
  if (state.link.phase === 'denied') return <Login />;
  const lost = state.link.phase === 'lost';
  return (
    <>
      <a class="skip" href="#main" onClick={skip}>
        Skip to content
      </a>
      <Header route={route} state={state} />
      {state.link.phase === 'lost' && state.mesh && (
        <LostBanner since={state.link.since} why={state.link.why} />
      )}
      <Main route={route} stale={lost && state.mesh !== undefined}>
        {view(route, state)}
      </Main>
    </>
  );
}

function view(route: Route, state: State) {
  const { mesh } = state;
  if (mesh === undefined) {
    return state.link.phase === 'lost' ? <NeverReached link={state.link} /> : <Loading />;
  }
  switch (route.view) {
    case 'overview':
      return mesh.services.size === 0 || (mesh.edges.length === 0 && mesh.services.size === 1) ? (
        <Empty mesh={mesh} />
      ) : (
        <Overview mesh={mesh} state={state} />
      );
    case 'service':
      return <ServiceView key={route.service} name={route.service} mesh={mesh} state={state} />;
    case 'live':
      return <Live />;
    case 'security':
      return <Security mesh={mesh} />;
    case 'timeline':
      return <Timeline state={state} />;
  }
}

/** The main part. A change of the view moves the focus to it, as a new page would. */
function Main(props: { route: Route; stale: boolean; children: ComponentChildren }) {
  const main = useRef<HTMLElement>(null);
  const key = JSON.stringify(props.route);
  const last = useRef(key);
  useEffect(() => {
    if (last.current === key) return;
    last.current = key;
    scrollTo(0, 0);
    main.current?.focus({ preventScroll: true });
  }, [key]);
  return (
    <main id="main" ref={main} tabIndex={-1} class={props.stale ? 'stale' : ''}>
      {props.children}
    </main>
  );
}

function skip(event: Event): void {
  // The hash names the view; the link must not change it.
  event.preventDefault();
  document.getElementById('main')?.focus();
}

/** `/` moves to the filter of the view. */
function useFilterKey(): void {
  useEffect(() => {
    const pressed = (event: KeyboardEvent): void => {
      const typing = event.target instanceof HTMLElement && event.target.matches('input, textarea');
      if (event.key !== '/' || typing || event.ctrlKey || event.metaKey || event.altKey) return;
      const filter = document.querySelector<HTMLInputElement>('input[type=search]');
      if (filter === null) return;
      event.preventDefault();
      filter.focus();
    };
    addEventListener('keydown', pressed);
    return () => removeEventListener('keydown', pressed);
  }, []);
}

function useTitle(route: Route, state: State): void {
  const worst = state.mesh?.picture.problems.filter((p) => p.severity === 'critical').length ?? 0;
  const name = route.view === 'service' ? route.service : route.view;
  const title = `${worst > 0 ? `(${worst}) ` : ''}${name[0]?.toUpperCase()}${name.slice(1)} · mesh`;
  useEffect(() => {
    document.title = title;
  }, [title]);
}
