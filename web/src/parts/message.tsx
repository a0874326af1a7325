import { useState } from 'preact/hooks';
import { ServerError, setApiKey } from '../server.js';

/** What went wrong, in the server's words; asks for the key where one is missing. */
export function Failed({ error }: { readonly error: Error }) {
  const wantsKey = error instanceof ServerError && error.status === 401;
  return (
    <div class="message" role="alert">
      <p>{error.message}</p>
      {wantsKey && <KeyForm />}
    </div>
  );
}

export function Waiting() {
  return <p class="message quiet">Loading …</p>;
}

function KeyForm() {
  const [key, setKey] = useState('');
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        setApiKey(key);
      }}
    >
      <label>
        Key of the service{' '}
        <input
          type="password"
          autocomplete="off"
          value={key}
          onInput={(event) => setKey(event.currentTarget.value)}
        />
      </label>{' '}
      <button type="submit">Use it</button>
    </form>
  );
}
