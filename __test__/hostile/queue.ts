// A queue with asynchronous readers.

export class Queue<T> {
  readonly #values: T[] = [];
  readonly #waiting: { resolve: (value: T) => void; reject: (error: Error) => void }[] = [];
  #failure: Error | null = null;

  push(value: T): void {
    const first = this.#waiting.shift();
    if (first === undefined) this.#values.push(value);
    else first.resolve(value);
  }

  /** Ends the queue: current and future readers get `error`. */
  fail(error: Error): void {
    this.#failure ??= error;
    for (const each of this.#waiting.splice(0)) each.reject(this.#failure);
  }

  /** Returns the next value; fails if none arrives within `ms`. */
  next(ms = 5_000): Promise<T> {
    const value = this.#values.shift();
    if (value !== undefined) return Promise.resolve(value);
    if (this.#failure !== null) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => {
      const entry = {
        resolve: (found: T) => (clearTimeout(timer), resolve(found)),
        reject: (error: Error) => (clearTimeout(timer), reject(error)),
      };
      const timer = setTimeout(() => {
        this.#waiting.splice(this.#waiting.indexOf(entry), 1);
        reject(new Error(`nothing within ${ms} ms`));
      }, ms);
      this.#waiting.push(entry);
    });
  }

  /** Returns the values that no reader has taken. */
  drain(): T[] {
    return this.#values.splice(0);
  }
}
