import { load } from 'nibble-llm';
import { useEffect, useState } from 'react';
import 'nibble-llm/widget';

export function Answer() {
  const [text, setText] = useState('');
  useEffect(() => {
    let gone = false;
    const loading = load(MODEL);
    (async () => {
      const engine = await loading;
      let answer = '';
      for await (const piece of engine.chat(QUESTION)) {
        answer += piece;
        if (gone) return;
      }
      setText(answer);
      await customElements.whenDefined('nibble-chat');
      document.body.dataset.done = 'yes';
    })().catch((error) => {
      if (!gone) throw error;
    });
    return () => {
      gone = true;
      loading.then((engine) => engine.dispose());
    };
  }, []);
  return (
    <main>
      <output>{text}</output>
      <nibble-chat />
    </main>
  );
}
