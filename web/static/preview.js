// The picture of the stream that is chosen.

import {authorisation} from './api.js';
import {$, put} from './dom.js';
import {LivePlayer} from './player.js';
import {chosen, state} from './state.js';

// preview plays what is chosen, if it is live.
export function preview() {
  const s = chosen();
  const wanted = s?.state === 'live' ? `${s.name}@${s.generation}` : '';
  if (wanted === state.playing) return;
  state.playing = wanted;
  state.player?.close();
  state.player = null;
  if (!wanted) {
    $('video').controls = false;
    put('video-note', s ? 'Nobody publishes now.' : '');
    return;
  }
  play(s, wanted);
}

// play opens the preview, through this listener: it needs no token of the stream's, and no way to the public one.
async function play(s, wanted) {
  const has = (protocol) => s.outputs.some((o) => o.protocol === protocol);
  const sources = {flv: has('flv') && `preview/${s.name}.flv`, hls: has('hls') && `preview/${s.name}/index.m3u8`};
  if (!sources.flv && !sources.hls) {
    put('video-note', 'No output that a browser plays is switched on.');
    return;
  }
  const headers = authorisation();
  put('video-note', 'Opening the preview…');
  const {status} = await fetch(sources.flv || sources.hls, {method: 'HEAD', headers}).catch(() => ({}));
  if (state.playing !== wanted) return;
  if (status === 403) {
    put('video-note', 'Watching this stream needs a token. With a setting admin.token the console may show it.');
    return;
  }
  state.player = new LivePlayer($('video'), sources, (what) => {
    $('video').controls = what === 'playing';
    put('video-note', {loading: 'Opening the preview…', playing: '', waiting: 'No picture yet; trying again.'}[what]);
  }, headers);
}
