import { css, html, LitElement, nothing } from 'lit';
import { property } from 'lit/decorators.js';
import type { GenerateResult, GenerateStats, MemoryInfo, ModelInfo } from '../../protocol';
import { defineElement } from '../define-element';
import { formatMemory, formatRate } from '../format';
import { theme } from '../theme';

/** "WebGPU (Apple M2)" or "CPU" */
export function describeBackend(info: ModelInfo): string {
  if (info.backend === 'cpu') return 'CPU';
  const name = info.adapter?.description || info.adapter?.vendor;
  return name ? `WebGPU (${name})` : 'WebGPU';
}

/** "90 MiB for this chat, 273 MiB at the full context of 8,192 tokens, limit 512 MiB" */
export function describeMemory(memory: MemoryInfo, { contextLength, options }: ModelInfo): string {
  const full = memory.total - memory.kv + memory.kvFullContext;
  const limit = options.memoryBudget === null ? '' : `, limit ${formatMemory(options.memoryBudget)}`;
  return `${formatMemory(memory.total)} for this chat, ${formatMemory(full)} at the full context of ${contextLength.toLocaleString('en')} tokens${limit}`;
}

/** "0.4 s", "0.1 s, 290 of 312 tokens reused" */
function describeStart({ ttftMs, reusedTokens, promptTokens }: GenerateStats): string {
  const reused = reusedTokens > 0 ? `, ${reusedTokens} of ${promptTokens} tokens reused` : '';
  return `${formatRate(ttftMs / 1000)} s${reused}`;
}

/** Who answers, how fast, and what it takes. */
export class StatsLine extends LitElement {
  @property({ attribute: false }) info: ModelInfo | null = null;
  @property({ attribute: false }) memory: MemoryInfo | null = null;
  @property({ attribute: false }) result: GenerateResult | null = null;

  static override styles = [
    theme,
    css`
      :host {
        display: block;
      }
      dl {
        display: flex;
        flex-wrap: wrap;
        gap: 0.1rem 1.2rem;
        margin: 0;
        font-size: 0.8125em;
        color: var(--_muted);
        font-variant-numeric: tabular-nums;
      }
      dl > div {
        display: flex;
        gap: 0.4em;
      }
      dt::after {
        content: ':';
      }
      dd {
        margin: 0;
        color: var(--_text);
      }
      p {
        margin: 0.2rem 0 0;
        font-size: 0.8125em;
        color: var(--_muted);
      }
    `,
  ];

  override render() {
    const { info, memory, result } = this;
    if (info === null) return nothing;
    const row = (term: string, id: string, value: string) =>
      html`<div><dt>${term}</dt><dd data-stat=${id}>${value}</dd></div>`;
    return html`<dl part="stats">
        ${row('Backend', 'backend', describeBackend(info))}
        ${
          result
            ? [
                row('Speed', 'speed', `${formatRate(result.stats.decodeTps)} tok/s`),
                row('First token', 'ttft', describeStart(result.stats)),
              ]
            : nothing
        }
        ${memory ? row('Memory', 'memory', describeMemory(memory, info)) : nothing}
      </dl>
      ${result?.note ? html`<p data-stat="note" role="status">${result.note}</p>` : nothing}
      ${info.storageReason ? html`<p data-stat="storage">${info.storageReason}</p>` : nothing}
      ${info.backend === 'cpu' ? html`<p data-stat="reason">${info.backendReason}</p>` : nothing}`;
  }
}

defineElement('nibble-stats', StatsLine);
