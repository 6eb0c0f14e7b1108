// Copies the field or text that a button names; without this script there is no such button.
"use strict";

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const field = document.getElementById(button.dataset.copy);
  if (field.select) field.select();
  else getSelection().selectAllChildren(field);
  // Over plain http there is no clipboard to write to; the old way still works.
  await (navigator.clipboard?.writeText(field.value ?? field.textContent) ?? document.execCommand("copy"));
  button.textContent = "Copied";
  setTimeout(() => { button.textContent = "Copy"; }, 1500);
});

document.documentElement.classList.add("js");

// On a phone the list of pages would stand before the page itself.
if (matchMedia("(max-width: 59.99rem)").matches) document.querySelector(".contents details[open]")?.removeAttribute("open");
