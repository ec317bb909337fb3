// Dark and light: the system's choice, or the reader's, which the browser remembers.
export type Theme = 'system' | 'light' | 'dark';

const KEY = 'secure-stack-mesh.theme';
const listeners = new Set<() => void>();

/** Returns the reader's choice. */
export function theme(): Theme {
  try {
    const kept = localStorage.getItem(KEY);
    return kept === 'light' || kept === 'dark' ? kept : 'system';
  } catch {
    return 'system'; // Storage is blocked.
  }
}

/** Applies a choice, and keeps it for the next visit. */
export function setTheme(choice: Theme): void {
  try {
    if (choice === 'system') localStorage.removeItem(KEY);
    else localStorage.setItem(KEY, choice);
  } catch {
    // Storage is blocked: the choice lasts as long as the page.
  }
  apply(choice);
}

/** Applies the choice that was kept. */
export function apply(choice: Theme = theme()): void {
  if (choice === 'system') delete document.documentElement.dataset['theme'];
  else document.documentElement.dataset['theme'] = choice;
  for (const listener of listeners) listener();
}

/** Calls a listener when colours change; returns the function that ends it. */
export function onTheme(listener: () => void): () => void {
  const media = matchMedia('(prefers-color-scheme: dark)');
  listeners.add(listener);
  media.addEventListener('change', listener);
  return () => {
    listeners.delete(listener);
    media.removeEventListener('change', listener);
  };
}
