// ONNX Runtime Web in a worker: greedy decoding as transformers.js does it. KV stays on the GPU where there is one, and
// logits are read back; without one every output is copied out of WebAssembly's memory, and KV back into it.
let ort;
let session;
let shape;

const argmax = (values) => {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i] > values[best]) best = i;
  return best;
};

async function load({ build, level, model, geometry, threads, verbose }) {
  ort = await import(`/ort/dist/ort.${build}.min.mjs`);
  ort.env.wasm.numThreads = threads;
  ort.env.wasm.wasmPaths = '/ort/dist/';
  if (verbose) ort.env.logLevel = 'verbose';
  shape = { layers: geometry.num_hidden_layers, kv: geometry.num_key_value_heads };
  shape.head = geometry.hidden_size / geometry.num_attention_heads;
  const response = await fetch(model);
  if (!response.ok) throw new Error(`${model}: ${response.status}`);
  const provider = build === 'wasm' ? 'wasm' : 'webgpu';
  const preferredOutputLocation = { logits: 'cpu' };
  for (let i = 0; i < shape.layers; i++)
    for (const kind of ['key', 'value'])
      preferredOutputLocation[`present.${i}.${kind}`] = provider === 'wasm' ? 'cpu' : 'gpu-buffer';
  session = await ort.InferenceSession.create(new Uint8Array(await response.arrayBuffer()), {
    executionProviders: [provider],
    graphOptimizationLevel: level,
    preferredOutputLocation,
    ...(verbose ? { logSeverityLevel: 0, logVerbosityLevel: 0 } : {}),
  });
  if (ort.env.wasm.numThreads !== threads)
    throw new Error(`ORT runs ${ort.env.wasm.numThreads} threads where ${threads} are asked for.`);
  return { version: ort.env.versions.web };
}

async function run({ prompt, newTokens }) {
  const past = {};
  for (let i = 0; i < shape.layers; i++)
    for (const kind of ['key', 'value'])
      past[`past_key_values.${i}.${kind}`] = new ort.Tensor('float32', [], [1, shape.kv, 0, shape.head]);
  let total = 0;
  const step = async (ids) => {
    total += ids.length;
    const outputs = await session.run({
      input_ids: new ort.Tensor('int64', BigInt64Array.from(ids, BigInt), [1, ids.length]),
      attention_mask: new ort.Tensor('int64', new BigInt64Array(total).fill(1n), [1, total]),
      ...past,
    });
    for (const tensor of Object.values(past)) tensor.dispose();
    for (let i = 0; i < shape.layers; i++)
      for (const kind of ['key', 'value']) past[`past_key_values.${i}.${kind}`] = outputs[`present.${i}.${kind}`];
    const logits = outputs.logits.data;
    const id = argmax(logits);
    if (!Number.isFinite(logits[id]) || logits[id] === logits[(id + 1) % logits.length])
      throw new Error(`Logits of no use: ${logits.slice(0, 8)}`);
    return id;
  };
  const start = performance.now();
  const ids = [await step(prompt)];
  const first = performance.now();
  postMessage({ event: 'firstToken' });
  while (ids.length < newTokens) ids.push(await step([ids[ids.length - 1]]));
  const end = performance.now();
  for (const tensor of Object.values(past)) tensor.dispose();
  return { ids, prefill: (1000 * prompt.length) / (first - start), decode: (1000 * (newTokens - 1)) / (end - first) };
}

addEventListener('message', async ({ data: { call, argument } }) => {
  try {
    postMessage({ result: await { load, run }[call](argument) });
  } catch (error) {
    postMessage({ error: String(error?.stack ?? error) });
  }
});
