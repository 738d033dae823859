/**
 * Addresses of scripts where a page demands Trusted Types (`require-trusted-types-for 'script'`): a worker is made of
 * none but those that a policy vouches for. Ours is called `nibble`, and vouches for the library's own files, and for
 * what an application names as workerUrl. A page that lists its policies has to list it; lit has one, too, `lit-html`.
 */

interface Policy {
  createScriptURL(address: string): string;
}

let policy: Policy | undefined;

/** @returns the address, as `new Worker()` takes it; where the page allows no policy, as it was, which that says */
export function trustedAddress(address: string | URL): string {
  const { trustedTypes } = globalThis as { trustedTypes?: { createPolicy(name: string, rules: Policy): Policy } };
  try {
    policy ??= trustedTypes?.createPolicy('nibble', { createScriptURL: (url) => url });
  } catch {
    // not listed, or a second copy of the library on the page
  }
  return policy?.createScriptURL(`${address}`) ?? `${address}`;
}
