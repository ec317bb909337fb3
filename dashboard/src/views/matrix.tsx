// Callers and called services, with a sign for each pair.
import { useMemo } from 'preact/hooks';
import { serviceHref } from '../data/route';
import type { Access, Pair } from '../figures/access';
import { count } from '../figures/format';
import { edgeKey } from '../figures/window';

/** The words for signs. */
export const WORDS: Record<Access, string> = {
  used: 'allowed and used',
  unused: 'allowed and never used',
  denied: 'denied and tried',
  audit: 'would be denied (audit)',
  open: 'used, no policy',
};

/** The sign of an access: forms that differ without colour. */
export function Sign({ access }: { access: Access }) {
  return (
    <svg class={`sign ${access}`} viewBox="0 0 18 18" width="18" height="18" aria-hidden="true">
      {shape(access)}
    </svg>
  );
}

function shape(access: Access) {
  switch (access) {
    case 'used':
      return <circle cx="9" cy="9" r="5.5" class="fill" />;
    case 'open':
      return (
        <>
          <circle cx="9" cy="9" r="5" class="ring" />
          <circle cx="9" cy="9" r="2.2" class="fill" />
        </>
      );
    case 'unused':
      return <circle cx="9" cy="9" r="5" class="ring dashed" />;
    case 'denied':
      return <path d="M4 4l10 10m0-10L4 14" class="cross" />;
    case 'audit':
      return (
        <>
          <rect x="3" y="3" width="12" height="12" rx="2" class="ring" />
          <path d="M6.5 6.5l5 5m0-5l-5 5" class="cross thin" />
        </>
      );
  }
}

/** Draws the matrix. */
export function Matrix({ pairs }: { pairs: Pair[] }) {
  const { callers, called, by } = useMemo(() => axes(pairs), [pairs]);
  const present = new Set(pairs.map((pair) => pair.access));
  return (
    <>
      <div
        class="scroller matrix-box"
        tabIndex={0}
        role="region"
        aria-label="Callers in rows, called services in columns"
      >
        <table class="matrix">
          <thead>
            <tr>
              <td />
              {called.map((name) => (
                <th key={name} scope="col">
                  <a href={serviceHref(name)} title={name}>
                    <span class="tilted">{name}</span>
                  </a>
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {callers.map((from) => (
              <tr key={from}>
                <th scope="row">
                  <a class="clip" href={serviceHref(from)} title={from}>
                    {from}
                  </a>
                </th>
                {called.map((to) => (
                  <Cell key={to} from={from} to={to} pair={by.get(edgeKey(from, to))} />
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <p class="legend">
        {(Object.keys(WORDS) as Access[])
          .filter((access) => present.has(access))
          .map((access) => (
            <span key={access}>
              <Sign access={access} /> {WORDS[access]}
            </span>
          ))}
      </p>
    </>
  );
}

function Cell({ from, to, pair }: { from: string; to: string; pair: Pair | undefined }) {
  if (from === to) return <td class="self" />;
  if (pair === undefined) return <td />;
  const words = [
    WORDS[pair.access],
    pair.denied > 0 && `${count(pair.denied)} requests denied`,
    pair.calls > 0 && `${count(pair.calls)} calls`,
    pair.rules.length > 0 && `rule: ${pair.rules.slice(0, 5).join(', ')}`,
  ].filter((word) => typeof word === 'string');
  return (
    <td class={pair.access} title={`${from} → ${to}: ${words.join('; ')}`}>
      <Sign access={pair.access} />
      <span class="hidden">{words.join('; ')}</span>
    </td>
  );
}

function axes(pairs: readonly Pair[]) {
  const by = new Map(pairs.map((pair) => [edgeKey(pair.from, pair.to), pair]));
  return {
    callers: [...new Set(pairs.map((pair) => pair.from))].sort(),
    called: [...new Set(pairs.map((pair) => pair.to))].sort(),
    by,
  };
}
