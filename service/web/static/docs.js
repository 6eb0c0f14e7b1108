// The search on /docs: shows only the operations and schemas that hold every word.
"use strict";

const field = document.getElementById("find");
const parts = [...document.querySelectorAll(".operation, .schema")];
const texts = parts.map((part) => part.textContent.toLowerCase());

field.addEventListener("input", () => {
  const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
  let count = 0;
  parts.forEach((part, number) => {
    part.hidden = !words.every((word) => texts[number].includes(word));
    count += !part.hidden;
  });
  for (const group of document.querySelectorAll(".group")) {
    group.hidden = !group.querySelector(".operation:not([hidden])");
  }
  document.getElementById("found").textContent = words.length ? `${count} found` : "";
  if (words.length) document.querySelector(".operation:not([hidden]), .schema:not([hidden])")?.scrollIntoView();
});
