// Keeps a page's [data-part]s fresh while one of them is marked [data-live], and copies links.
// A part whose text did not change stays as it is, so a playing video goes on.
"use strict";
const EVERY = 2000;
const parts = (root) => [...root.querySelectorAll("[data-part]")];
const seen = new Map(parts(document).map((part) => [part.dataset.part, part.outerHTML]));
let etag = "";

function swap(fresh) {
  const old = document.querySelector(`[data-part="${fresh.dataset.part}"]`);
  if (!old || seen.get(fresh.dataset.part) === fresh.outerHTML) return;
  seen.set(fresh.dataset.part, fresh.outerHTML);
  const focused = old.contains(document.activeElement) && document.activeElement;
  const place = focused ? [...old.querySelectorAll("a, button, input")].indexOf(focused) : -1;
  old.replaceWith(fresh);
  if (place >= 0) fresh.querySelectorAll("a, button, input")[place]?.focus();
}

async function look() {
  const url = new URL(location.href);
  url.searchParams.set("live", "");
  const answer = await fetch(url, { headers: { "If-None-Match": etag }, cache: "no-store" });
  if (answer.redirected) return location.reload();
  if (!answer.ok) return;
  etag = answer.headers.get("ETag") || "";
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  parts(page).forEach(swap);
}

function tick() {
  if (!document.querySelector("[data-live]")) return;
  const done = document.hidden ? Promise.resolve() : look().catch(() => {});
  done.then(() => setTimeout(tick, EVERY));
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const field = document.getElementById(button.dataset.copy);
  field.select();
  // Over plain http there is no clipboard to write to; the old way still works.
  await (navigator.clipboard?.writeText(field.value) ?? document.execCommand("copy"));
  button.textContent = "Copied";
  setTimeout(() => { button.textContent = "Copy"; }, 1500);
});

document.documentElement.classList.add("js");
setTimeout(tick, EVERY);
