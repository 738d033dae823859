/**
 * What is told at /metrics, in Prometheus' text format, version 0.0.4
 * (https://prometheus.io/docs/instrumenting/exposition_formats/). Seconds and bytes are base units, as its naming rules
 * want.
 */
import type { GenerateStats, MemoryInfo } from '../../protocol';
import type { Queue } from './queue';

/** Upper bounds of the histograms' buckets, in seconds. */
const SECONDS = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120];

class Histogram {
  readonly #counts = SECONDS.map(() => 0);
  #sum = 0;
  #count = 0;

  add(seconds: number): void {
    SECONDS.forEach((most, i) => {
      if (seconds <= most) this.#counts[i]++;
    });
    this.#sum += seconds;
    this.#count++;
  }

  lines(name: string): string[] {
    return [
      ...SECONDS.map((most, i) => `${name}_bucket{le="${most}"} ${this.#counts[i]}`),
      `${name}_bucket{le="+Inf"} ${this.#count}`,
      `${name}_sum ${this.#sum}`,
      `${name}_count ${this.#count}`,
    ];
  }
}

const quoted = (text: string) => text.replace(/[\\"\n]/g, (mark) => (mark === '\n' ? '\\n' : `\\${mark}`));

export class Metrics {
  /** answered requests, by path and status */
  readonly #requests = new Map<string, number>();
  readonly #waited = new Histogram();
  readonly #firstToken = new Histogram();
  #prompt = 0;
  #reused = 0;
  #answer = 0;

  /** @param path of those that there are; all others count as one, so that nobody makes the list grow */
  request(path: string, status: number): void {
    const labels = `path="${quoted(path)}",status="${status}"`;
    this.#requests.set(labels, (this.#requests.get(labels) ?? 0) + 1);
  }

  waited(seconds: number): void {
    this.#waited.add(seconds);
  }

  /** Of an answer that has ended. */
  answered({ promptTokens, reusedTokens, newTokens, ttftMs }: GenerateStats): void {
    this.read(promptTokens, reusedTokens);
    this.#answer += newTokens;
    if (newTokens > 0) this.#firstToken.add(ttftMs / 1000);
  }

  /** Of texts that were read, and not answered. */
  read(tokens: number, reused = 0): void {
    this.#prompt += tokens;
    this.#reused += reused;
  }

  /** @param memory of the model; null while it loads */
  text(queue: Queue, memory: MemoryInfo | null): string {
    const metric = (name: string, type: string, help: string, lines: readonly string[]) => [
      `# HELP nibble_${name} ${help}`,
      `# TYPE nibble_${name} ${type}`,
      ...lines,
    ];
    const single = (name: string, type: string, help: string, value: number) =>
      metric(name, type, help, [`nibble_${name} ${value}`]);
    const kinds = ['weights', 'kv', 'scratch', 'staging'] as const;
    return [
      ...metric(
        'requests_total',
        'counter',
        'Requests that were answered, refusals included.',
        [...this.#requests].map(([labels, count]) => `nibble_requests_total{${labels}} ${count}`),
      ),
      ...single('requests_running', 'gauge', 'Requests that are being answered.', queue.running),
      ...single('requests_waiting', 'gauge', 'Requests that wait for their turn.', queue.waiting),
      ...single('prompt_tokens_total', 'counter', 'Tokens of prompts, cached ones included.', this.#prompt),
      ...single(
        'cached_prompt_tokens_total',
        'counter',
        'Tokens of prompts that were not computed again.',
        this.#reused,
      ),
      ...single('answer_tokens_total', 'counter', 'Tokens of answers.', this.#answer),
      ...metric(
        'queue_seconds',
        'histogram',
        'Seconds that requests waited for their turn.',
        this.#waited.lines('nibble_queue_seconds'),
      ),
      ...metric(
        'time_to_first_token_seconds',
        'histogram',
        "Seconds from an answer's turn to its first token.",
        this.#firstToken.lines('nibble_time_to_first_token_seconds'),
      ),
      ...(memory
        ? [
            ...metric(
              'memory_bytes',
              'gauge',
              'Bytes that the model takes, by what they are for.',
              kinds.map((kind) => `nibble_memory_bytes{kind="${kind}"} ${memory[kind]}`),
            ),
            ...single('memory_peak_bytes', 'gauge', 'The most that it ever took.', memory.peak),
          ]
        : []),
      '',
    ].join('\n');
  }
}
