// Where a call stands among those made on behalf of one another. The core
// refuses the one that is too many, so that no cycle goes on for ever.

/** The calls that led to a call, as it carries them. */
export interface Chain {
  /** The request it is made on behalf of; 0 for none. The core knows its deadline. */
  readonly parent: number;
  /** Which call of its chain it is, from 1. */
  readonly depth: number;
  /** The calls that led to it, for errors; '' for none. */
  readonly path: string;
  /** Whether the deadline of that request is its own. */
  readonly inherits: boolean;
}

/** The chain of a call that no request led to. */
export const FIRST: Chain = Object.freeze({ parent: 0, depth: 1, path: '', inherits: false });

// The wire has a byte for the depth, and the core's own limit for the path.
const MAX_DEPTH = 0xff;
const MAX_PATH = 1024;
const ARROW = ' > ';
const CUT = `...${ARROW}`;

/**
 * The chain of the calls that a handler makes.
 *
 * @param request the request it answers, as its caller describes it
 * @param caller who made that request
 * @param service this service
 * @param method the method it asked for
 */
export function continueChain(
  request: Chain,
  caller: string,
  service: string,
  method: string,
): Chain {
  const before = request.path === '' ? caller : request.path;
  return {
    parent: request.parent,
    inherits: request.inherits,
    depth: Math.min(request.depth + 1, MAX_DEPTH),
    path: shorten(`${before}${ARROW}${service} ${method}`),
  };
}

/** The newest calls of a path, with a mark in place of those before. Ids and methods are ASCII. */
function shorten(path: string): string {
  if (path.length <= MAX_PATH) return path;
  const rest = path.slice(CUT.length - MAX_PATH);
  const at = rest.indexOf(ARROW);
  return CUT + (at < 0 ? '' : rest.slice(at + ARROW.length));
}
