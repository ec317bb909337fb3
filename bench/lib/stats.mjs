// Statistics.

/** The median. */
export function median(values) {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** The medians of the fields of several objects with the same fields. */
export function medians(objects) {
  const fields = Object.keys(objects[0]);
  return Object.fromEntries(
    fields.map((field) => [field, median(objects.map((one) => one[field]))]),
  );
}

/** Latencies of calls, recorded without allocation during a measurement. */
export class Times {
  #values = new Float64Array(1 << 16);
  #count = 0;

  add(value) {
    if (this.#count === this.#values.length) {
      const larger = new Float64Array(this.#count * 2);
      larger.set(this.#values);
      this.#values = larger;
    }
    this.#values[this.#count] = value;
    this.#count += 1;
  }

  get count() {
    return this.#count;
  }

  /** `p50`, `p99`, `p999` and `max`, in the unit that was added. */
  summary() {
    const sorted = this.#values.subarray(0, this.#count).sort();
    const at = (share) =>
      sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
    return { p50: at(0.5), p99: at(0.99), p999: at(0.999), max: at(1) };
  }
}
