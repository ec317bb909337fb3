// Calls and requests under way, by their numbers.
//
// A `Map` whose entries come and go makes a new table every few dozen of them,
// and each old table keeps the next one alive until the next major collection:
// at full load a tenth of the time was spent on that. This one allocates
// nothing while it does not grow.

const EMPTY = -1;
const INITIAL = 64;

/** A hash table of numbers that are not negative, with linear probing. */
export class IdTable<T> {
  #ids = new Float64Array(INITIAL).fill(EMPTY);
  #values: (T | undefined)[] = new Array<T | undefined>(INITIAL).fill(undefined);
  #size = 0;

  /** How many entries there are. */
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

  /** Removes an entry; false if there is none. */
  delete(id: number): boolean {
    const ids = this.#ids;
    const mask = ids.length - 1;
    let hole = this.#find(id);
    if (ids[hole] === EMPTY) return false;
    this.#size -= 1;
    // Whoever was pushed beyond the hole moves up, or it would not be found any more.
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

  /** The entries at this moment, in no order. */
  entries(): [number, T][] {
    const entries: [number, T][] = [];
    this.#ids.forEach((id, at) => {
      if (id !== EMPTY) entries.push([id, this.#values[at] as T]);
    });
    return entries;
  }

  /** Removes everything. */
  clear(): void {
    this.#ids.fill(EMPTY);
    this.#values.fill(undefined);
    this.#size = 0;
  }

  /** Where the entry is, or would be. At most half of the table is taken, so the search ends. */
  #find(id: number): number {
    const ids = this.#ids;
    const mask = ids.length - 1;
    let at = id & mask;
    while (ids[at] !== EMPTY && ids[at] !== id) at = (at + 1) & mask;
    return at;
  }

  #grow(): void {
    const former = this.entries();
    const length = 2 * this.#ids.length;
    this.#ids = new Float64Array(length).fill(EMPTY);
    this.#values = new Array<T | undefined>(length).fill(undefined);
    for (const [id, value] of former) {
      const at = this.#find(id);
      this.#ids[at] = id;
      this.#values[at] = value;
    }
  }
}
