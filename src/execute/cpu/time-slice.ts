/**
 * Long steps are cut into pieces, so that a worker hears a stop while it computes: each is a generator that yields
 * where the event loop may have a turn, and tells how much it has done since it last did.
 *
 * Multiplications a piece: 8 to 20 ms on one core of a small machine (bench/stop.md), a quarter of a second on one ten
 * times slower, and few enough that looking at the clock between them costs nothing.
 */
export const TIME_SLICE = 1 << 24;
