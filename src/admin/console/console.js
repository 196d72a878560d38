// Keeps the page fresh without a reload, and turns its buttons into requests to the admin API.
'use strict';
(() => {
  const live = document.getElementById('live');
  const said = document.getElementById('said');
  const part = document.body.dataset.part;
  let shown = '';
  let timer = 0;
  let lost = false;

  const say = (text) => { said.textContent = text; };

  const states = () => {
    const found = new Map();
    for (const line of live.querySelectorAll('[data-key][data-status]')) found.set(line.dataset.key, line);
    return found;
  };

  // Swaps the new state in and leaves the keyboard where it was.
  const swap = (text) => {
    if (text === shown) return;
    const before = new Map([...states()].map(([key, line]) => [key, line.dataset.status]));
    const focused = live.contains(document.activeElement) ? { ...document.activeElement.dataset } : null;
    live.innerHTML = text;
    if (focused) {
      const same = (button) => ['do', 'tenant', 'gate'].every((name) => button.dataset[name] === focused[name]);
      [...live.querySelectorAll('button')].find(same)?.focus();
    }
    if (shown) {
      for (const [key, line] of states()) {
        if (line.dataset.label && before.has(key) && before.get(key) !== line.dataset.status) {
          say(`${line.dataset.label}: ${line.dataset.status.replaceAll('_', ' ')}`);
        }
      }
    }
    shown = text;
  };

  const refresh = async () => {
    clearTimeout(timer);
    try {
      const answer = await fetch(part, { cache: 'no-store', redirect: 'error', signal: AbortSignal.timeout(10000) });
      if (answer.status === 401) return location.reload();
      if (!answer.ok) throw new Error(String(answer.status));
      swap(await answer.text());
      if (lost) say('');
      lost = false;
    } catch {
      lost = true;
      say('The gateway does not answer. What you see may be old; it is asked again.');
    }
    // Nobody looks at a hidden tab, and asking would keep its session alive for ever.
    if (!document.hidden) timer = setTimeout(refresh, 2000);
  };

  const send = async (method, path, body) => {
    const answer = await fetch(path, {
      method,
      redirect: 'error',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    const text = await answer.text();
    const told = text ? JSON.parse(text) : {};
    if (!answer.ok) throw new Error([told.message ?? told.error, told.fix].filter(Boolean).join(' – '));
    return told;
  };

  const todo = {
    'sign-out': async () => { await send('POST', '/sign-out', {}); location.assign('/'); },
    sync: async (base) => { await send('POST', `${base}/sync`, {}); say('Reading began.'); },
    check: async (base) => { await send('POST', `${base}/check`, {}); say('Looked at what is granted.'); },
    upload: async (base, button) => {
      const on = button.getAttribute('aria-checked') !== 'true';
      if (!on && !confirm('Turn data upload off? Risk is no longer read; what is known grows old.')) return;
      await send('PUT', `${base}/data-upload`, { on });
    },
    consent: async (base, button) => {
      // Opened within the click, or the browser takes it for a pop-up.
      const tab = window.open('', '_blank');
      try {
        const { url } = await send('POST', `${base}/consent`, { gate: button.dataset.gate });
        if (!tab) return say(`The browser kept the new tab closed. Open it yourself: ${url}`);
        tab.opener = null;
        tab.location.replace(url);
        say('Consent in the new tab; this page shows what came of it.');
      } catch (error) {
        tab?.close();
        throw error;
      }
    },
  };

  document.addEventListener('click', async (event) => {
    const button = event.target.closest('button[data-do]');
    if (!button || button.disabled) return;
    button.disabled = true;
    try {
      await todo[button.dataset.do](`/api/v1/tenants/${button.dataset.tenant}`, button);
    } catch (error) {
      say(error.message);
    }
    button.disabled = false;
    refresh();
  });
  document.addEventListener('visibilitychange', () => { if (!document.hidden) refresh(); });
  refresh();
})();
