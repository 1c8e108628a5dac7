// Keeps the ages of figures true while a page stays open, and says which have changed.
"use strict";

const UNITS = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];

setInterval(() => {
  document.querySelectorAll("time.age").forEach((one) => {
    const seconds = Math.max(Math.floor((Date.now() - Date.parse(one.dateTime)) / 1000), 0);
    const [length, unit] = UNITS.find(([limit]) => seconds >= limit) ?? UNITS.at(-1);
    one.textContent = `${Math.floor(seconds / length)} ${unit}`;
  });
}, 1000);

// The rows of a shortcode are replaced as a whole, and nobody would hear of what is written into new ones.
document.body.addEventListener("htmx:afterSwap", (event) => {
  const shortcode = event.target.id.match(/^shortcode-(.+)$/);
  if (shortcode) document.getElementById("news").textContent = `${shortcode[1]} has changed`;
});
