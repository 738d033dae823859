/**
 * What a device probably allows a page or a program to take. No interface tells: this is a careful guess from what can
 * be known, and it says so. It never refuses anything by itself. Pure.
 *
 * Sources of the largest buffers by browser and system: Dawn's PhysicalDeviceD3D12.cpp, -MTL.mm and -Vk.cpp, WebKit's
 * HardwareCapabilities.mm, Firefox's gfx/wgpu_bindings/src/server.rs, as of August 2026.
 */

import type { DeviceEstimate } from '../protocol';

/** What is known of the machine. */
export interface DeviceFacts {
  /** bytes of main memory: exact in Node, rounded by a browser (and never more than 8 or 32 GiB); null: not told */
  memory: number | null;
  /** navigator.userAgent, with the system's name where the browser tells it apart; '' in Node */
  userAgent: string;
  /** the screen takes more than one finger: by this alone an iPad differs from a Mac */
  touch: boolean;
}

/** What is known of the graphics adapter. */
export interface AdapterFacts {
  maxBufferSize: number;
  isFallback: boolean;
  vendor: string;
  architecture: string;
  description: string;
}

const GIB = 2 ** 30;

type System = 'ios' | 'android' | 'mac' | 'other';

/**
 * iOS ends a page at about 1.5 GB (a WebKit engineer in WebKit's pull request 49472; web-llm's issue 753 tells of it),
 * of which the page itself, its code and copies in passing need a part.
 */
const IOS_BYTES = 1e9;
/** The part of main memory that one page may count on; a telephone's own system and other apps need more of it. */
const SHARE: Record<System, number> = { ios: 1 / 4, android: 1 / 4, mac: 1 / 2, other: 1 / 2 };
/**
 * What a machine has at least that is young enough for WebGPU, where nobody tells: no Mac with Apple's chips has less.
 */
const ASSUMED: Record<System, number> = { ios: 4 * GIB, android: 4 * GIB, mac: 8 * GIB, other: 4 * GIB };
/** An adapter that takes buffers of one size is taken to have room for two of them. */
const LARGEST_BUFFERS = 2;

function systemOf({ userAgent, touch }: DeviceFacts): System {
  if (/iphone|ipad|ipod/i.test(userAgent)) return 'ios';
  if (/android/i.test(userAgent)) return 'android';
  if (!/macintosh|mac ?os/i.test(userAgent)) return 'other';
  return touch ? 'ios' : 'mac';
}

const gib = (bytes: number): string => `${Number((bytes / GIB).toFixed(1))} GiB`;

/**
 * Never more with less memory, smaller buffers, or a telephone in the place of a desktop computer.
 * @param adapter null: the CPU computes
 */
export function estimateDevice(device: DeviceFacts, adapter: AdapterFacts | null): DeviceEstimate {
  const system = systemOf(device);
  const memory = device.memory ?? ASSUMED[system];
  const share = SHARE[system] === 1 / 2 ? 'half' : 'a quarter';
  const told = device.userAgent ? 'that the browser reports' : 'of this machine';
  const bounds: DeviceEstimate[] = [
    {
      bytes: memory * SHARE[system],
      reason:
        device.memory === null
          ? `${share} of ${gib(memory)}, as this browser does not tell how much memory there is`
          : `${share} of the ${gib(memory)} of memory ${told}`,
    },
  ];
  if (system === 'ios') bounds.push({ bytes: IOS_BYTES, reason: 'iOS ends a page that takes more than about 1.5 GB' });
  if (adapter) {
    const { maxBufferSize, isFallback, vendor, architecture, description } = adapter;
    const name = description || [vendor, architecture].filter(Boolean).join(' ') || 'unnamed';
    const kind = isFallback ? 'software adapter' : 'graphics adapter';
    bounds.push({
      bytes: LARGEST_BUFFERS * maxBufferSize,
      reason: `twice the largest buffer that the ${kind} (${name}) takes, ${gib(maxBufferSize)}`,
    });
  }
  const { bytes, reason } = bounds.reduce((least, bound) => (bound.bytes < least.bytes ? bound : least));
  return { bytes: Math.floor(bytes), reason: `An estimate: ${reason}.` };
}
