// Ticks every row on the page without loading it again, and says how many are ticked.
"use strict";
const boxes = () => [...document.querySelectorAll('.pick input')];

// A tick that came with the page counts as one of the reader's own, which no refresh takes away.
for (const box of boxes()) box.checked = box.defaultChecked;

function tell() {
  const count = boxes().filter((box) => box.checked).length;
  document.getElementById("picked").textContent =
    count ? `${count} selected. The buttons come after the list.` : "Nothing selected.";
}

document.addEventListener("click", (event) => {
  if (!event.target.closest("[data-pick-all]")) return;
  event.preventDefault();
  const ticked = boxes().some((box) => !box.checked);
  for (const box of boxes()) box.checked = ticked;
  tell();
});
document.addEventListener("change", (event) => {
  if (event.target.closest(".pick")) tell();
});
