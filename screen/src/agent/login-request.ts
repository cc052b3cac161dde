import { signal } from '@preact/signals';

type LoginRequest = {
  /** Why a login is needed; undefined if a person asked for it. */
  readonly reason: string | undefined;
  readonly settle: (isLoggedIn: boolean) => void;
};

/** The login that is shown; undefined for none. */
export const loginRequest = signal<LoginRequest | undefined>(undefined);
let pending: Promise<void> | undefined;

/**
 * Shows one login for all requests that need it.
 *
 * @throws {Error} if the person gives none.
 */
export function askLogin(reason?: string): Promise<void> {
  pending ??= new Promise<void>((resolve, reject) => {
    loginRequest.value = {
      reason,
      settle: (isLoggedIn) => {
        pending = undefined;
        loginRequest.value = undefined;
        if (isLoggedIn) resolve();
        else reject(new Error(reason));
      },
    };
  });
  return pending;
}
