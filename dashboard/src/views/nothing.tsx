// The states in which there is no mesh to draw.
import type { Link } from '../data/store';
import type { Mesh } from '../figures/mesh';
import { Clock } from '../parts/figure';

/** Before the first answer: the shape of what comes, without movement. */
export function Loading() {
  return (
    <div class="message" role="status">
      <h1>Reading the mesh…</h1>
      <p>The admin port asks every service it can reach. That takes a second or two.</p>
    </div>
  );
}

/** No answer has ever arrived. */
export function NeverReached({ link }: { link: Link & { phase: 'lost' } }) {
  return (
    <div class="message" role="alert">
      <h1>The admin port does not answer</h1>
      <p>
        {link.why} First tried at <Clock at={link.since} now={Date.now()} />.
      </p>
      <p class="repair">
        <span class="arrow" aria-hidden="true">
          →
        </span>
        Check that the process runs and that <code>admin.port</code> is the port of this address.
        The page tries again every 2 s.
      </p>
    </div>
  );
}

/** A mesh in which nothing has been called yet. */
export function Empty({ mesh }: { mesh: Mesh }) {
  const { observer } = mesh.picture;
  return (
    <div class="message">
      <h1>No calls yet</h1>
      <p>
        <strong>{observer}</strong> runs and has neither made nor answered a call. Services appear
        here with their first call.
      </p>
      <p>To make one, from another process:</p>
      <pre tabIndex={0}>
        <code>{`const mesh = new SecureMesh({ serviceId: 'caller', … });\nawait mesh.connect('${observer}').call('method', input);`}</code>
      </pre>
      <p class="muted">
        A service that stays away does not let itself be observed (option <code>observe</code>), or
        this process has never spoken to it.
      </p>
    </div>
  );
}
