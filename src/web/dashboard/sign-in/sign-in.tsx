/** Sign-in with the admin key, or with the read key, which may change nothing. */
import { useState } from "preact/hooks";
import { getOverview } from "#gateway";
import { useAction } from "../../ui/action.ts";
import { call, callWith, Refusal } from "../../ui/call.ts";
import { Field } from "../../ui/field.tsx";
import { Problem } from "../../ui/notice.tsx";

export function SignIn({ onSignIn }: { onSignIn: (key: string) => void }) {
  const [key, setKey] = useState("");
  const signIn = useAction({
    mutationFn: (given: string) => {
      callWith(given);
      return call(getOverview({ days: 1 }));
    },
    onSuccess: (_, given) => onSignIn(given),
  });
  const isWrong = signIn.error instanceof Refusal && signIn.error.status === 401;
  return (
    <main class="narrow">
      <form
        class="panel"
        onSubmit={(event) => {
          event.preventDefault();
          signIn.mutate(key.trim());
        }}
      >
        <h1>Sign in</h1>
        <Field
          label="Admin key"
          hint="ADMIN_API_KEY, which npm run dev prints, or ADMIN_READ_KEY to read only. It stays in this tab."
          error={isWrong ? "This is not the admin key." : undefined}
        >
          {(control) => (
            <input
              {...control}
              type="password"
              autocomplete="off"
              spellcheck={false}
              required
              value={key}
              onInput={(event) => setKey(event.currentTarget.value)}
            />
          )}
        </Field>
        {!isWrong && <Problem error={signIn.error} />}
        <button type="submit" class="primary" disabled={signIn.isPending}>
          Sign in
        </button>
      </form>
    </main>
  );
}
