// Talks to the API with the admin token, which it asks for when the API wants it and keeps until the tab is closed.

const RETRY_MS = 2000;
const PATIENCE_MS = 10_000; // with an answer; a tunnel that hangs never ends by itself
const QUIET_MS = 60_000; // of an event stream, which says something every 15 s

let token = sessionStorage.getItem('token') ?? '';

// authorisation are the headers that show the token.
export const authorisation = () => (token ? {Authorization: `Bearer ${token}`} : {});

export async function api(path, options = {}) {
  const headers = {Accept: 'application/json', ...options.headers, ...authorisation()};
  const response = await fetch(`api/v1/${path}`, {signal: AbortSignal.timeout(PATIENCE_MS), ...options, headers});
  if (response.status === 401) {
    await askForToken();
    return api(path, options);
  }
  return response;
}

// all returns the items of all pages of a list. The error of a server that refuses has its words as problem.
export async function all(path, key) {
  const items = [];
  for (let cursor = ''; ;) {
    const response = await api(cursor ? `${path}?cursor=${encodeURIComponent(cursor)}` : path);
    const page = await response.json();
    if (!response.ok) throw Object.assign(new Error(page.title), {problem: page.detail});
    items.push(...page[key]);
    if (!page.next) return items;
    cursor = page.next;
  }
}

let asking = null;
function askForToken() {
  asking ??= new Promise((resolve) => {
    const dialog = document.getElementById('login');
    dialog.addEventListener('close', () => {
      token = document.getElementById('token').value;
      sessionStorage.setItem('token', token);
      asking = null;
      resolve();
    }, {once: true});
    dialog.addEventListener('cancel', (event) => event.preventDefault());
    dialog.showModal();
  });
  return asking;
}

// follow reads the event stream with fetch, which can show the token, and comes back when it breaks.
export async function follow(types, onEvent, onBatch, last = '') {
  const quiet = new AbortController();
  const hush = () => setTimeout(() => quiet.abort(), QUIET_MS);
  let timer = hush();
  try {
    const headers = {Accept: 'text/event-stream'};
    if (last) headers['Last-Event-ID'] = last;
    const response = await api(`events?types=${types}`, {headers, signal: quiet.signal});
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = '';
    for (;;) {
      const {value, done} = await reader.read();
      if (done) break;
      clearTimeout(timer);
      timer = hush();
      text += value;
      const blocks = text.split('\n\n');
      text = blocks.pop();
      for (const block of blocks) {
        const fields = Object.fromEntries(block.split('\n').map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 2)]));
        if (fields.id) last = fields.id;
        if (fields.data) onEvent(JSON.parse(fields.data));
      }
      onBatch();
    }
  } catch { /* the link's state says it */ }
  clearTimeout(timer);
  setTimeout(() => follow(types, onEvent, onBatch, last), RETRY_MS);
}
