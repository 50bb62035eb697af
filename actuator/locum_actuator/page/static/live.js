// Keep the page up to date: request changes every second or two, and announce only the important ones.

import { morph } from "./morph.js";

const SECONDS_UNSEEN = 5; // in a hidden tab
const SECONDS_ANSWER = 5;
const LOST_AFTER = 3; // unanswered requests, until this is announced

const address = document.body.dataset.live;
const announcer = document.getElementById("announcer");
const pulse = document.getElementById("pulse");
const words = document.getElementById("pulse-words");
let etag = null;
let facts = null;
let pace = 1; // seconds between two requests; set by the server
let unanswered = 0;
let timer = 0;

function say(text) {
  announcer.textContent = text;
}

function take(state) {
  for (const [name, html] of Object.entries(state.parts)) {
    const part = document.querySelector(`[data-part="${name}"]`);
    if (part) morph(part, html);
  }
  const news = Object.entries(state.facts).filter(([name, text]) => facts && facts[name] !== text);
  if (news.length) say(news.map(([, text]) => text).join(". "));
  facts = state.facts;
  pace = state.pace_seconds;
}

function alive() {
  if (unanswered >= LOST_AFTER) say("locum answers again.");
  unanswered = 0;
  pulse.className = "pulse live";
  words.textContent = `live, ${new Date().toLocaleTimeString()}`;
}

function lost() {
  unanswered += 1;
  if (unanswered < LOST_AFTER) return;
  if (unanswered === LOST_AFTER) say("locum does not answer. This page is out of date.");
  pulse.className = "pulse lost";
  words.textContent = "locum does not answer: this page is out of date";
}

async function ask() {
  clearTimeout(timer);
  try {
    const headers = etag ? { "If-None-Match": etag } : {};
    const answer = await fetch(address, { headers, cache: "no-store", signal: AbortSignal.timeout(SECONDS_ANSWER * 1000) });
    if (answer.status === 200) {
      take(await answer.json());
      etag = answer.headers.get("ETag");
    } else if (answer.status !== 304) {
      throw new Error(`answered ${answer.status}`);
    }
    alive();
  } catch (fault) {
    console.warn(fault);
    lost();
  }
  clearTimeout(timer);
  timer = setTimeout(ask, 1000 * (document.hidden ? SECONDS_UNSEEN : pace));
}

if (address) {
  document.addEventListener("visibilitychange", () => document.hidden || ask());
  document.addEventListener("locum-acted", ask); // a button was pressed: show the result at once
  ask();
} else {
  pulse.hidden = true;
}
