// The form for a token.
import { useState } from 'preact/hooks';
import { login } from '../data/http';
import { pollNow } from '../data/poll';
import { update } from '../data/store';

/** Asks for the token of the admin port and exchanges it for a cookie. */
export function Login() {
  const [failure, setFailure] = useState('');
  const [busy, setBusy] = useState(false);
  const submit = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault();
    const form = event.currentTarget as HTMLFormElement;
    const field = form.elements.namedItem('token') as HTMLInputElement;
    setBusy(true);
    try {
      if (await login(field.value)) {
        update({ link: { phase: 'loading' } });
        pollNow();
        return;
      }
      setFailure('The admin port does not accept this token.');
      field.select();
    } catch (error) {
      setFailure(error instanceof Error ? error.message : String(error));
    } finally {
      setBusy(false);
    }
  };
  return (
    <main class="message" id="main" tabIndex={-1}>
      <h1>Token needed</h1>
      <p>
        This admin port answers only with its token: the value of <code>admin.token</code>, or of{' '}
        <code>SECURE_MESH_ADMIN_TOKEN</code>, of the process that serves it.
      </p>
      <form class="login" onSubmit={(event) => void submit(event)}>
        <label for="token">Token</label>
        <input
          id="token"
          name="token"
          type="password"
          autoComplete="current-password"
          required
          aria-describedby="login-failure"
          aria-invalid={failure !== ''}
        />
        <button type="submit" class="primary" disabled={busy}>
          {busy ? 'Asking…' : 'Open'}
        </button>
        <p id="login-failure" class="failure" role="alert">
          {failure}
        </p>
      </form>
    </main>
  );
}
