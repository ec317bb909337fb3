// Sections of a view, and the sentence of an empty one.
import type { ComponentChildren } from 'preact';

/** A titled section. `note` stands beside the title. */
export function Card(props: {
  title: string;
  note?: ComponentChildren;
  tools?: ComponentChildren;
  bare?: boolean;
  class?: string;
  children: ComponentChildren;
}) {
  const id = `card-${props.title.toLowerCase().replace(/[^a-z]+/g, '-')}`;
  return (
    <section class={`card ${props.class ?? ''}`} aria-labelledby={id}>
      <header class="card-head">
        <h2 id={id}>{props.title}</h2>
        {props.note !== undefined && <span class="note">{props.note}</span>}
        {props.tools !== undefined && <span class="tools">{props.tools}</span>}
      </header>
      <div class={props.bare ? 'card-bare' : 'card-body'}>{props.children}</div>
    </section>
  );
}

/** A sentence where there is nothing to list. */
export function Nothing({ children }: { children: ComponentChildren }) {
  return <p class="nothing">{children}</p>;
}

/** A row of figures with their names. */
export function Facts({ items }: { items: { name: string; value: ComponentChildren }[] }) {
  return (
    <dl class="facts">
      {items.map(({ name, value }) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

/** A word in a frame. */
export function Badge(props: { tone?: string; title?: string; children: ComponentChildren }) {
  return (
    <span class={`badge ${props.tone ?? ''}`} title={props.title}>
      {props.children}
    </span>
  );
}
