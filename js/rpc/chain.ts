// The position of a call in its chain. The core rejects a chain that is too deep, so that a cycle of calls ends.

/** The chain of a call, as the call carries it. */
export interface Chain {
  /** The number of the request that makes the call; 0 for none. The core has its deadline. */
  readonly parent: number;
  /** The position of the call in its chain, from 1. */
  readonly depth: number;
  /** The previous calls of the chain, for error messages; '' for none. */
  readonly path: string;
  /** Whether the call inherits the deadline of the request. */
  readonly inherits: boolean;
}

/** The chain of a call outside any request. */
export const FIRST: Chain = Object.freeze({ parent: 0, depth: 1, path: '', inherits: false });

// The wire has one byte for the depth. The limit of the path is that of the core.
const MAX_DEPTH = 0xff;
const MAX_PATH = 1024;
const ARROW = ' > ';
const CUT = `...${ARROW}`;

/**
 * Returns the chain of the calls that a handler makes.
 *
 * @param request the chain of the request, as its caller states it
 * @param caller the caller of the request
 * @param service this service
 * @param method the method of the request
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

/**
 * Shortens a path to its newest calls; a mark replaces the older ones. Ids and methods are ASCII, so
 * characters are bytes.
 */
function shorten(path: string): string {
  if (path.length <= MAX_PATH) return path;
  const rest = path.slice(CUT.length - MAX_PATH);
  const at = rest.indexOf(ARROW);
  return CUT + (at < 0 ? '' : rest.slice(at + ARROW.length));
}
