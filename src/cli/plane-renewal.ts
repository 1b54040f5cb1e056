/** Snapshots are renewed when half their life is over, as long as the plane serves. */
import { monotonicMs, nowSeconds } from "../clock.ts";
import type { PublishedDomain } from "../domain/published.ts";

const LOOK_MS = 500;
/** After a failure, so that a full disk is not written to twice a second. */
const PAUSE_MS = 10_000;

/** Begins at once; the function returned ends it. `onFailure` hears what could not be published. */
export function startRenewal(
  published: PublishedDomain,
  onFailure: (error: unknown) => void,
): () => void {
  let busy = false;
  let notBeforeMs = 0;
  const look = async (): Promise<void> => {
    if (busy || monotonicMs() < notBeforeMs) return;
    busy = true;
    try {
      const { issued, expires } = await published.current();
      if (nowSeconds() >= issued + (expires - issued) / 2)
        await published.change({ kind: "renew" });
    } catch (error) {
      notBeforeMs = monotonicMs() + PAUSE_MS;
      onFailure(error);
    } finally {
      busy = false;
    }
  };
  const timer = setInterval(look, LOOK_MS);
  void look();
  return () => clearInterval(timer);
}
