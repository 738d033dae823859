/** A mark on the app's icon for answers that came while nobody looked (https://w3c.github.io/badging/). */

/**
 * @param answers dispatches 'message' (detail: a message with its role) for everything that is said
 * @returns ends it
 */
export function badgeUnseen(answers: EventTarget): () => void {
  let unseen = 0;
  // what a browser has no badge for, or does not allow, is no loss
  const show = () => {
    const done = unseen > 0 ? navigator.setAppBadge?.(unseen) : navigator.clearAppBadge?.();
    done?.catch(() => {});
  };
  const said = (event: Event) => {
    const { role } = (event as CustomEvent<{ role: string }>).detail;
    if (role !== 'assistant' || !document.hidden) return;
    unseen++;
    show();
  };
  const seen = () => {
    if (document.hidden || unseen === 0) return;
    unseen = 0;
    show();
  };
  answers.addEventListener('message', said);
  document.addEventListener('visibilitychange', seen);
  return () => {
    answers.removeEventListener('message', said);
    document.removeEventListener('visibilitychange', seen);
  };
}
