// A player that follows a live stream and recovers by itself: low-latency FLV where the browser can
// (Media Source Extensions), HLS elsewhere, the browser's own HLS where there is nothing else.

const RETRY_MS = [1000, 2000, 3000, 5000];
const STALL_MS = 8000; // no progress for so long is a stream to be opened again
const MAX_DELAY_S = 4; // a player of FLV that is further behind jumps to the newest

export class LivePlayer {
  // sources is {flv, hls}; onState hears 'loading', 'playing', 'waiting' and the protocol. headers go along with every
  // request.
  constructor(video, sources, onState, headers = {}) {
    this.headers = headers;
    this.video = video;
    this.sources = sources;
    this.onState = onState;
    this.failures = 0;
    this.flvFailures = 0;
    this.lastTime = 0;
    this.lastMove = performance.now();
    this.watchdog = setInterval(() => this.#check(), 1000);
    this.#open();
  }

  get protocol() {
    const flv = this.sources.flv && this.flvFailures < 3 && window.mpegts && mpegts.isSupported();
    if (flv) return 'flv';
    if (this.sources.hls && window.Hls && Hls.isSupported()) return 'hls';
    return this.sources.hls ? 'native' : '';
  }

  close() {
    this.closed = true;
    clearInterval(this.watchdog);
    clearTimeout(this.timer);
    this.#drop();
  }

  #drop() {
    if (this.flv) this.flv.destroy();
    if (this.hls) this.hls.destroy();
    this.flv = this.hls = null;
    this.video.removeAttribute('src');
    this.video.load();
  }

  #open() {
    const protocol = this.protocol;
    this.opened = protocol;
    this.lastMove = performance.now();
    this.onState('loading', protocol);
    if (protocol === 'flv') {
      // The library wants whole URLs.
      const url = new URL(this.sources.flv, location.href).href;
      this.flv = mpegts.createPlayer({type: 'flv', isLive: true, url}, {
        enableStashBuffer: false, lazyLoad: false, autoCleanupSourceBuffer: true,
        liveBufferLatencyChasing: true, liveBufferLatencyMaxLatency: 2, liveBufferLatencyMinRemain: 0.5,
        headers: this.headers,
      });
      this.flv.on(mpegts.Events.ERROR, () => this.#failed());
      this.flv.on(mpegts.Events.LOADING_COMPLETE, () => this.#failed());
      this.flv.attachMediaElement(this.video);
      this.flv.load();
    } else if (protocol === 'hls') {
      const xhrSetup = (xhr) => { for (const [name, value] of Object.entries(this.headers)) xhr.setRequestHeader(name, value); };
      this.hls = new Hls({enableWorker: false, xhrSetup});
      this.hls.on(Hls.Events.ERROR, (_, data) => { if (data.fatal) this.#failed(); });
      this.hls.loadSource(this.sources.hls);
      this.hls.attachMedia(this.video);
    } else if (protocol === 'native') {
      this.video.src = this.sources.hls;
      this.video.onerror = () => this.#failed();
    } else {
      this.onState('waiting', '');
      return;
    }
    this.video.play().catch(() => {}); // it plays when there is something, or when the viewer asks for it
  }

  #failed() {
    if (this.closed || this.timer) return;
    if (this.opened === 'flv' && this.sources.hls) this.flvFailures++;
    this.onState('waiting', this.opened);
    const wait = RETRY_MS[Math.min(this.failures++, RETRY_MS.length - 1)];
    this.timer = setTimeout(() => {
      this.timer = 0;
      this.#drop();
      this.#open();
    }, wait);
  }

  #check() {
    const video = this.video;
    if (video.currentTime !== this.lastTime) {
      this.lastTime = video.currentTime;
      this.lastMove = performance.now();
      if (!this.timer && !video.paused && video.readyState > 2) {
        this.failures = 0;
        if (this.opened === 'flv') this.flvFailures = 0;
        this.onState('playing', this.opened);
      }
      this.#catchUp();
      return;
    }
    if (video.paused && video.readyState > 2) { // the viewer's wish
      this.lastMove = performance.now();
      return;
    }
    if (performance.now() - this.lastMove > STALL_MS) {
      this.lastMove = performance.now();
      this.#failed();
    }
  }

  #catchUp() {
    const {buffered} = this.video;
    if (this.opened !== 'flv' || !buffered.length) return;
    const end = buffered.end(buffered.length - 1);
    if (end - this.video.currentTime > MAX_DELAY_S) this.video.currentTime = end - 0.5;
  }
}
