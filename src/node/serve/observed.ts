/** An engine whose answers are counted: what the shapes ask of it is not theirs to tell. */
import type { Answer, Engine } from '../../index';
import type { Metrics } from './metrics';

/** @returns the same engine, and what it answers is told to the metrics */
export function observed(engine: Engine, metrics: Metrics): Engine {
  const told = (answer: Answer) => {
    answer.result.then(({ stats }) => metrics.answered(stats)).catch(() => {});
    return answer;
  };
  const counted: Partial<Engine> = {
    chat: (...given) => told(engine.chat(...given)),
    generate: (...given) => told(engine.generate(...given)),
    batch: (...given) => engine.batch(...given).map(told),
    async embed(...given) {
      const vectors = await engine.embed(...given);
      metrics.read(vectors.tokens);
      return vectors;
    },
  };
  return new Proxy(engine, {
    get(target, name) {
      const value = Reflect.get(counted, name) ?? Reflect.get(target, name, target);
      // its private fields are its own, and not the proxy's
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}
