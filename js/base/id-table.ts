// A table of running calls and requests by their numbers.
//
// A `Map` with many insertions and deletions often allocates a new table, and each old table keeps the next
// one alive until a major collection. At full load this took a tenth of the time. This table allocates only
// when it grows.

const EMPTY = -1;
const INITIAL = 64;

/** A hash table with non-negative numbers as keys and linear probing. */
export class IdTable<T> {
  #ids = new Float64Array(INITIAL).fill(EMPTY);
  #values: (T | undefined)[] = new Array<T | undefined>(INITIAL).fill(undefined);
  #size = 0;

  /** The number of entries. */
  get size(): number {
    return this.#size;
  }

  get(id: number): T | undefined {
    return this.#values[this.#find(id)];
  }

  has(id: number): boolean {
    return this.#ids[this.#find(id)] === id;
  }

  set(id: number, value: T): void {
    let at = this.#find(id);
    if (this.#ids[at] === EMPTY) {
      this.#size += 1;
      if (2 * this.#size > this.#ids.length) {
        this.#grow();
        at = this.#find(id);
      }
      this.#ids[at] = id;
    }
    this.#values[at] = value;
  }

  /** Removes an entry. Returns whether it existed. */
  delete(id: number): boolean {
    const ids = this.#ids;
    const mask = ids.length - 1;
    let hole = this.#find(id);
    if (ids[hole] === EMPTY) return false;
    this.#size -= 1;
    // Entries that were displaced past the hole move into it, since a probe stops at a hole and would miss them.
    for (let at = (hole + 1) & mask; ids[at] !== EMPTY; at = (at + 1) & mask) {
      const home = (ids[at] as number) & mask;
      if (((at - home) & mask) < ((at - hole) & mask)) continue;
      ids[hole] = ids[at] as number;
      this.#values[hole] = this.#values[at];
      hole = at;
    }
    ids[hole] = EMPTY;
    this.#values[hole] = undefined;
    return true;
  }

  /** A snapshot of the entries, in no particular order. */
  entries(): [number, T][] {
    const entries: [number, T][] = [];
    this.#ids.forEach((id, at) => {
      if (id !== EMPTY) entries.push([id, this.#values[at] as T]);
    });
    return entries;
  }

  /** Removes all entries. */
  clear(): void {
    this.#ids.fill(EMPTY);
    this.#values.fill(undefined);
    this.#size = 0;
  }

  /**
   * Returns the place of an entry, or the place for it. At most half of the table is in use, so the probe
   * ends.
   */
  #find(id: number): number {
    const ids = this.#ids;
    const mask = ids.length - 1;
    let at = id & mask;
    while (ids[at] !== EMPTY && ids[at] !== id) at = (at + 1) & mask;
    return at;
  }

  #grow(): void {
    const previous = this.entries();
    const length = 2 * this.#ids.length;
    this.#ids = new Float64Array(length).fill(EMPTY);
    this.#values = new Array<T | undefined>(length).fill(undefined);
    for (const [id, value] of previous) {
      const at = this.#find(id);
      this.#ids[at] = id;
      this.#values[at] = value;
    }
  }
}
