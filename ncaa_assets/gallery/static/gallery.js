/* What happens on a page: a video plays in its place, a video of YouTube is embedded when a person asks for it, and the
   search box finds. Every text from the archive is set as text, never as markup. */
"use strict";

(function () {
  const { top, season: shownSeason, clipsAPage } = document.documentElement.dataset;
  const isServed = location.protocol === "http:" || location.protocol === "https:";

  function element(name, values, ...children) {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(values)) made.setAttribute(key, value);
    made.append(...children);
    return made;
  }

  /* Videos */

  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-play]");
    if (!link || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    const card = link.closest(".card"), tile = card.querySelector(".tile");
    const how = { controls: "", playsinline: "", src: link.href, "aria-label": link.textContent };
    const video = tile.querySelector("video") || tile.appendChild(element("video", how)); // days' pages have them
    const still = tile.querySelector("img");
    if (still) video.poster = still.src;
    card.classList.add("playing");
    video.focus();
    video.play().catch(() => {}); // its error event tells the person
  });

  document.addEventListener("play", (event) => {
    for (const other of document.querySelectorAll("video")) if (other !== event.target) other.pause();
    event.target.closest(".card").classList.add("playing");
  }, true);

  document.addEventListener("error", ({ target }) => {
    if (target.localName !== "video") return;
    const card = target.closest(".card");
    card.classList.remove("playing");
    card.querySelector("a[data-play]").removeAttribute("data-play");
    target.remove();
    const sorry = "This browser cannot play it here. The title opens the file.";
    card.append(element("p", { class: "why", role: "alert" }, sorry));
  }, true);

  /* YouTube refuses a frame that does not say where it is, as a page from a folder cannot. There, the link remains. */
  if (isServed) {
    for (const link of document.querySelectorAll("a[data-youtube]")) {
      const button = element("button", { type: "button" }, "Play here, from YouTube");
      button.addEventListener("click", () => {
        const card = link.closest(".card");
        const frame = element("iframe", {
          src: `https://www.youtube-nocookie.com/embed/${encodeURIComponent(link.dataset.youtube)}?autoplay=1`,
          title: card.querySelector("h3").textContent,
          allow: "autoplay; encrypted-media; fullscreen; picture-in-picture",
          referrerpolicy: "strict-origin-when-cross-origin",
        });
        card.querySelector(".tile").append(frame);
        card.classList.add("playing");
        button.remove();
        frame.focus();
      });
      link.before(button);
    }
  }

  /* Search */

  const MOST = 50; // results
  const PAUSE = 150; // milliseconds
  const STATES = { kept: "Kept", link: "Link only", lost: "Lost" };
  const input = document.getElementById("q"), list = document.getElementById("found");
  const panel = document.querySelector(".results"), more = document.querySelector(".more");
  const said = document.querySelector(".said");
  let guessing, active = -1, beginning = null, isLoading = false, isBroken = false;

  function script(path) {
    return new Promise((resolve, reject) => {
      const tag = element("script", { src: top + path });
      tag.onload = resolve;
      tag.onerror = () => reject(new Error(path));
      document.head.append(tag);
    });
  }

  const pause = () => new Promise((resolve) => setTimeout(resolve));

  async function ready() {
    while (!ncaa.prepare(8)) await pause();
  }

  async function begin() {
    await script("assets/search.js");
    await script("search/seasons.js");
    const first = ncaa.names.includes(shownSeason) ? shownSeason : ncaa.names[0];
    if (first) await load(first);
  }

  async function load(name) {
    await script(`search/${encodeURIComponent(name)}.js`);
    await ready();
  }

  /* Runs a piece of loading, tells what came of it, and shows what is found now. */
  async function loading(work) {
    isLoading = true;
    show();
    try {
      await work();
    } catch {
      isBroken = true;
    }
    isLoading = false;
    show();
  }

  function focused() {
    beginning = beginning || loading(begin);
    return beginning;
  }

  const season = (name) => name.replace("-", "–");
  const missing = () => ncaa.names.filter((name) => !ncaa.loaded.includes(name));
  const plural = (count, noun) => `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;

  function address(row) {
    const part = Math.floor(row.place / clipsAPage);
    let id = row.id;
    try { id = encodeURIComponent(id); } catch { id = ""; }
    return `${top}${row.day}${part ? `-${part + 1}` : ""}.html#c-${id}`;
  }

  function date(day) {
    const shown = { month: "short", day: "numeric", year: "numeric", timeZone: "UTC" };
    return new Date(`${day}T12:00:00Z`).toLocaleDateString("en-US", shown);
  }

  function option(href, title, right, about, state) {
    const id = `found-${list.childElementCount}`;
    return element("a", { role: "option", id, href, tabindex: "-1", "aria-selected": "false" },
      element("span", {}, title), ...[right, about, state].map((text) => element("small", {}, text)));
  }

  /* Shows what the query finds, at once; where that is nothing, what it may mean, once nobody types any more. */
  function show() {
    const query = input.value.trim();
    clearTimeout(guessing);
    if (!query || typeof ncaa === "undefined") {
      present(null);
      say(isBroken ? "The search cannot be loaded. `ncaa-assets gallery --rebuild` makes it again."
        : query && isLoading ? "Loading …" : "");
      return;
    }
    const result = ncaa.find(query, MOST);
    if (result.count || result.teams.length || isLoading || isBroken) present(result);
    else {
      list.ariaBusy = "true";
      guessing = setTimeout(guess, PAUSE, query);
    }
  }

  async function guess(query) {
    try {
      if (typeof MiniSearch === "undefined") await script("assets/minisearch.js");
      await ready();
    } catch {
      isBroken = true;
    }
    if (query === input.value.trim()) present(isBroken ? ncaa.find(query, MOST) : ncaa.guess(query, MOST));
  }

  function present(result) {
    list.replaceChildren();
    list.ariaBusy = String(isLoading);
    choose(-1);
    if (!result) return open(false);
    for (const { slug, name } of result.teams) {
      list.append(option(`${top}teams/${encodeURIComponent(slug)}.html`, name, "Team", "", ""));
    }
    for (const row of result.found) {
      const { home, away, score, source } = row;
      const game = home && away ? `${home} ${score || "–"} ${away}` : home || away || source;
      const states = [STATES[row.state], row.removed && "removed upstream", row.changed && "changed"];
      list.append(option(address(row), row.title, date(row.day), game || "", states.filter(Boolean).join(", ")));
    }
    const left = missing();
    const are = left.every((name) => name < ncaa.loaded.at(-1)) ? "earlier season" : "other season";
    more.hidden = !left.length || isLoading;
    more.textContent = `Search ${plural(left.length, are)} too`;
    tell(result, left);
    return open(true);
  }

  function tell(result, left) {
    const where = left.length ? ` in ${ncaa.loaded.map(season).join(", ")}` : "";
    const read = result.read.map(({ typed, words }) => `“${typed}” read as ${words.join(" or ")}. `).join("");
    const most = result.count > result.found.length ? `, the newest ${result.found.length} shown` : "";
    if (isBroken) say("Some of the archive cannot be searched: `ncaa-assets gallery --rebuild` makes it again.");
    else if (isLoading) say("Loading …");
    else say(result.count ? `${read}${plural(result.count, "highlight")}${where}${most}` : `Nothing found${where}`);
  }

  const say = (text) => { if (said.textContent !== text) said.textContent = text; };

  function open(isOpen) {
    if (!isOpen) clearTimeout(guessing);
    panel.hidden = !isOpen;
    input.setAttribute("aria-expanded", String(isOpen && list.childElementCount > 0));
  }

  function choose(next) {
    list.children[active]?.setAttribute("aria-selected", "false");
    active = next;
    const chosen = list.children[active];
    if (!chosen) return input.removeAttribute("aria-activedescendant");
    chosen.setAttribute("aria-selected", "true");
    chosen.scrollIntoView({ block: "nearest" });
    return input.setAttribute("aria-activedescendant", chosen.id);
  }

  /* The query stands in the address, so that it can be shared. */
  let remembering;
  function remember() {
    clearTimeout(remembering);
    remembering = setTimeout(() => {
      const query = input.value.trim();
      history.replaceState(null, "", query ? `#q=${encodeURIComponent(query)}` : "#");
    }, 250);
  }

  function recall() {
    if (!location.hash.startsWith("#q=")) return;
    try { input.value = decodeURIComponent(location.hash.slice(3)); } catch { return; }
    input.focus();
    focused();
    show();
  }

  input.addEventListener("focus", () => { focused(); if (input.value) show(); });
  input.addEventListener("input", () => { focused(); show(); remember(); });
  input.addEventListener("keydown", (event) => {
    const count = list.childElementCount;
    if (event.isComposing) return;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      if (panel.hidden) show();
      else if (count) choose(event.key === "ArrowDown" ? (active + 1) % count : active < 1 ? count - 1 : active - 1);
    } else if (event.key === "Enter" && !panel.hidden) {
      (list.children[active] || list.children[0])?.click();
    } else if (event.key === "Escape") {
      event.preventDefault();
      if (panel.hidden) { input.value = ""; show(); remember(); } else open(false);
    }
  });
  list.addEventListener("click", () => { clearTimeout(remembering); open(false); });
  more.addEventListener("click", () => {
    input.focus();
    loading(async () => { for (const name of missing()) { await load(name); show(); } });
  });
  document.addEventListener("keydown", (event) => {
    const isTyped = /^(INPUT|TEXTAREA|SELECT)$/.test(document.activeElement?.tagName);
    if (event.key !== "/" || isTyped || event.metaKey || event.ctrlKey || event.altKey) return;
    event.preventDefault();
    input.focus();
    input.select();
  });
  document.addEventListener("focusin", (event) => { if (!event.target.closest(".search")) open(false); });
  document.addEventListener("pointerdown", (event) => { if (!event.target.closest(".search")) open(false); });
  addEventListener("hashchange", recall);
  recall();
})();
