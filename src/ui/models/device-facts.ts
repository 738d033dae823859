/** What this page knows of its device: from the model that is loaded, or from a look at the one that it offers. */
import type { ChatSession } from '../conversation/session';
import { recall, remember } from '../remember';
import { CPU_BYTES_PER_SECOND, type DeviceFacts } from './model-fit';
import type { ModelLibrary } from './model-library';

const SPEED = 'nibble-bytes-per-second';
/** of an answer that says something of a speed */
const ENOUGH_TOKENS = 8;

/** What the last answer says of this device, remembered for the next visit; null: nothing yet. */
function measuredSpeed({ result, memory, info }: ChatSession): number | null {
  if (result && memory && info?.source === 'device' && result.stats.newTokens >= ENOUGH_TOKENS) {
    const speed = result.stats.decodeTps * memory.weights;
    if (Number.isFinite(speed) && speed > 0) remember(SPEED, String(Math.round(speed)));
  }
  return Number(recall(SPEED)) || null;
}

/** Makes a request of this origin's own where no model is loaded, and none else. */
export async function findDevice(session: ChatSession, library: ModelLibrary): Promise<DeviceFacts> {
  const speed = measuredSpeed(session);
  const told = session.info?.deviceEstimate.bytes ?? (await lookAtStandard(session, library));
  const bytes = told === null ? session.memoryBudget : Math.min(told, session.memoryBudget ?? told);
  const onCpu = session.info?.backend === 'cpu';
  const bytesPerSecond = speed ?? (onCpu ? CPU_BYTES_PER_SECOND : null);
  return { bytes, bytesPerSecond, measured: speed !== null };
}

async function lookAtStandard(session: ChatSession, { standard, inspect }: ModelLibrary): Promise<number | null> {
  try {
    const inspection = await inspect(standard.model, { ...session.engineOptions, sizes: false });
    inspection.dispose();
    return inspection.cost.deviceEstimate.bytes;
  } catch {
    // the cards say nothing of the device then
    return null;
  }
}
