/**
 * The options of a test that compares times, on a machine that may have other work: two more tries. A fault in the code
 * fails all three.
 */
export const compared = { retry: 2 };
