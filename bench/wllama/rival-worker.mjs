// wllama in a worker, on the CPU, with its own defaults but for the number of threads: llama.cpp in WebAssembly.
let wllama;

const quiet = { debug() {}, log() {}, warn() {}, error: console.error };

async function load({ model, threads, context, flash, verbose }) {
  const { Wllama } = await import('/wllama/esm/index.js');
  wllama = new Wllama({ default: '/wllama/esm/wasm/wllama.wasm' }, { logger: verbose ? console : quiet });
  const response = await fetch(model);
  if (!response.ok) throw new Error(`${model}: ${response.status}`);
  await wllama.loadModel([await response.blob()], {
    n_threads: threads,
    n_gpu_layers: 0,
    n_ctx: context,
    flash_attn: flash,
  });
  const running = wllama.isMultithread() ? wllama.getNumThreads() : 1;
  if (running !== threads) throw new Error(`wllama runs ${running} threads where ${threads} are asked for.`);
  return { llama: Wllama.getLibllamaVersion() };
}

/** Greedily and past every stop. It takes a prompt as text only; its cache of the last prompt is off. */
async function run({ prompt, text, newTokens }) {
  let answer = '';
  let last;
  const stream = await wllama.createCompletion({
    prompt: text,
    stream: true,
    max_tokens: newTokens,
    temperature: 0,
    ignore_eos: true,
    cache_prompt: false,
  });
  for await (const chunk of stream) {
    if (last === undefined) postMessage({ event: 'firstToken' });
    answer += chunk.choices[0].text;
    last = chunk;
  }
  const { prompt_n, cache_n, prompt_per_second, predicted_n, predicted_ms } = last.timings;
  if (prompt_n !== prompt.length || cache_n !== 0 || predicted_n !== newTokens)
    throw new Error(
      `wllama read ${prompt_n} tokens of ${prompt.length}, had ${cache_n} and made ${predicted_n} of ${newTokens}.`,
    );
  // the first token is the prompt's
  return { text: answer, prefill: prompt_per_second, decode: (1000 * (newTokens - 1)) / predicted_ms };
}

addEventListener('message', async ({ data: { call, argument } }) => {
  try {
    postMessage({ result: await { load, run }[call](argument) });
  } catch (error) {
    postMessage({ error: String(error?.stack ?? error) });
  }
});
