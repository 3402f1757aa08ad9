// What the console knows, and shows.

export const state = {streams: [], history: new Map(), chosen: '', player: null, playing: '', wanted: '', refusals: null};

export const chosen = () => state.streams.find((s) => s.name === state.chosen);
