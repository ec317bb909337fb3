// The answers for the shop, alive: counts grow, calls happen.
import type { LiveCall } from '../../../dashboard/src/contract/types.js';
import { shopHistory, shopPicture } from './picture.js';
import type { Answers } from './server.js';
import { CALLS } from './shop.js';

/** Returns answers about the shop, which began now. */
export function shop(): Answers {
  const began = Date.now();
  return {
    mesh: () => shopPicture(Date.now(), began),
    history: (windowS, stepS) => shopHistory(Date.now(), began, windowS, stepS),
    live: (send) => {
      let n = 0;
      const timer = setInterval(() => {
        send('call', callOf(n++));
        if (n % 120 === 0) send('gap', { type: 'gap', missed: 340 });
      }, 60);
      for (let i = 0; i < 40; i++) send('call', callOf(n++));
      return () => clearInterval(timer);
    },
  };
}

const OWN = CALLS.filter((call) => call.from === 'gateway').flatMap((call) =>
  call.methods.map((method) => ({ to: call.to, method })),
);

function callOf(n: number): { type: 'call' } & LiveCall {
  const { to, method } = OWN[(n * 7) % OWN.length]!;
  const failed = n % 23 === 11;
  return {
    type: 'call',
    at: Date.now(),
    direction: 'out',
    peer: to,
    method: method.name,
    code: failed ? 'UNAVAILABLE' : 'OK',
    ...(failed ? { reason: 'NO_INSTANCE' } : {}),
    ms: method.load.medianMs * (0.6 + ((n * 37) % 100) / 60),
    traceId: `4bf92f3577b34da6a3ce929d${(0x0e473600 + n).toString(16)}`,
  };
}
