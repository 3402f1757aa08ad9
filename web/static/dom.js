// Writes into the page with textContent alone: names come from publishers.

export const $ = (id) => document.getElementById(id);

// el makes an element with text, and nothing else, in it.
export function el(tag, className, text) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  return node;
}

export const put = (id, text) => { if ($(id).textContent !== text) $(id).textContent = text; };

// redraw replaces what is in a node if its source has changed.
export function redraw(id, source, make) {
  const key = JSON.stringify(source);
  if ($(id).dataset.key === key) return;
  $(id).dataset.key = key;
  $(id).replaceChildren(...make());
}

// --- charts ---

// POINTS is how many values a chart shows.
export const POINTS = 150;

const SVG = 'http://www.w3.org/2000/svg';

// drawChart draws values into the figure of that name: the newest at the right, the largest at the top, in words.
export function drawChart(name, values, words) {
  const svg = $(`${name}-chart`);
  if (!svg.firstChild) for (const part of ['area', 'line']) {
    const path = document.createElementNS(SVG, 'path');
    path.setAttribute('class', part);
    svg.append(path);
  }
  const largest = Math.max(...values, 1);
  put(`${name}-top`, `most: ${words(values.length ? Math.max(...values) : 0)}`);
  const points = values.map((v, i) => `${(300 - (values.length - 1 - i) * 300 / (POINTS - 1)).toFixed(1)},${(80 - v / largest * 70).toFixed(1)}`);
  const first = points[0]?.split(',')[0] ?? 300;
  svg.children[0].setAttribute('d', points.length ? `M${first},80 L${points.join(' L')} L300,80 Z` : '');
  svg.children[1].setAttribute('d', points.length ? `M${points.join(' L')}` : '');
}
