// A page that waits for a wallet asks whether there is an answer, and goes on when there is.
"use strict";
(() => {
  const link = document.getElementById("wallet-link");
  if (!link || !link.dataset.pollUrl) return;
  const status = document.getElementById("wait-status");
  const every = 2000;
  let answered = false;
  const ask = async () => {
    try {
      const reply = await fetch(link.dataset.pollUrl, { headers: { Accept: "application/json" }, cache: "no-store" });
      const found = await reply.json();
      if (found.next) { location.assign(found.next); return; }
      if (found.state === "verified" && !answered && status) {
        answered = true;
        status.textContent = status.dataset.answered;
      }
    } catch { /* the next round may work */ }
    setTimeout(ask, every);
  };
  setTimeout(ask, every);
})();
