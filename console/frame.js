/** Drawing, coalesced: whatever changed is drawn once, at most thirty times a second. */

const SHORTEST_MS = 1000 / 30;
const SLACK_MS = 0.5; // two 60 Hz frames, less the jitter of their timestamps

const changed = new Set();
let scheduled = false;
let drawnAt = -Infinity;

/** Ask for `part.draw()` on the next frame that is due. */
export function redraw(part) {
  changed.add(part);
  if (scheduled) return;
  scheduled = true;
  requestAnimationFrame(frame);
}

function frame(now) {
  if (now - drawnAt < SHORTEST_MS - SLACK_MS) {
    requestAnimationFrame(frame);
    return;
  }
  drawnAt = now;
  scheduled = false;
  const parts = [...changed];
  changed.clear();
  for (const part of parts) part.draw();
}

/** Set the text of an element by changing its one text node, and only when it differs. */
export function put(element, text) {
  const node = element.firstChild;
  if (node === null) element.textContent = text;
  else if (node.nodeValue !== text) node.nodeValue = text;
}
