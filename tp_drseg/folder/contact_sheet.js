"use strict";
const sheet = document.getElementById("sheet");
const sort = document.getElementById("sort");
const find = document.getElementById("find");
const count = document.getElementById("count");
const cards = [...sheet.children];
const order = new Intl.Collator(undefined, { numeric: true });

function byName(a, b) {
  return order.compare(a.dataset.name, b.dataset.name);
}

function value(card, key) {
  if (key === "name") return 0;
  if (key === "care") return Number(card.dataset.care);
  return Number(card.dataset.counts.split(" ")[Number(key)] || -1);
}

function show() {
  const key = sort.value;
  const part = find.value.trim().toLowerCase();
  cards.sort((a, b) => value(b, key) - value(a, key) || byName(a, b));
  let shown = 0;
  for (const card of cards) {
    card.hidden = !card.dataset.name.toLowerCase().includes(part);
    shown += card.hidden ? 0 : 1;
    sheet.append(card);
  }
  count.value = shown === cards.length ? `${shown} photographs` : `${shown} of ${cards.length} photographs`;
}

sort.addEventListener("change", show);
find.addEventListener("input", show);
