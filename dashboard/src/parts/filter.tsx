// A field that narrows a list. The key `/` moves to it.

/** Draws the field. */
export function Filter(props: { label: string; value: string; set: (text: string) => void }) {
  return (
    <label class="filter">
      <span class="hidden">{props.label}</span>
      <input
        type="search"
        placeholder={props.label}
        value={props.value}
        maxLength={200}
        autoComplete="off"
        spellcheck={false}
        onInput={(event) => props.set(event.currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key === 'Escape') props.set('');
        }}
      />
      <kbd aria-hidden="true">/</kbd>
    </label>
  );
}
