/* The archive's highlights in memory, and finding some of them. Nothing here touches a page, so it runs anywhere.

   The files in search/ hand their rows over by ncaa.season and ncaa.seasons. ncaa.prepare makes them ready in slices,
   so that typing never waits; ncaa.find scans what is ready, ncaa.guess reads what is misspelt. A text is only text. */
"use strict";

var ncaa = (function () {
  const MONTHS = "january february march april may june july august september october november december".split(" ");
  const MONTH = MONTHS.map((month) => `${month.slice(0, 3)}(?:${month.slice(3)})?`).join("|") + "|sept";
  const LETTERS = { "ß": "ss", "ø": "o", "æ": "ae", "ł": "l", "đ": "d", "ı": "i" };
  const STATES = ["link", "kept", "lost"];
  const MOST_WORDS = 12;
  const MOST_NARROWED = 60000;
  const COMMON = 20; // a word that stands so often is no slip of the keyboard

  const seasons = []; // those that are loaded: {name, teams, sources, days: [{day, words, rows, texts}], done}
  const vocabulary = new Map(); // the words of all rows: how often each stands there
  const likely = new Map(); // what was found to be like a word
  let narrowed = null; // the last plain scan: a longer query looks only at what it found
  let names = []; // of the seasons that there are, newest first
  let teams = []; // {slug, name, text} of each season
  let unindexed = []; // words that the index of misspellings lacks
  let index = null;

  /* A text as it is compared: lower case, without accents, apostrophes and punctuation, a space before each word. */
  function fold(text) {
    let folded = String(text);
    if (/[^\x00-\x7f]/.test(folded)) {
      folded = folded.normalize("NFKD").toLowerCase().replace(/\p{M}+/gu, "")
        .replace(/[ʻʼ‘’]/g, "")
        .replace(/[ßøæłđı]/g, (letter) => LETTERS[letter]);
    } else {
      folded = folded.toLowerCase();
    }
    folded = folded.replace(/['`]/g, "").replace(/[^\p{L}\p{N}]+/gu, " ").trim();
    return folded && " " + folded;
  }

  function season(data) {
    if (seasons.some((other) => other.name === data.season)) return;
    const days = Object.keys(data.days).sort().reverse().map((day) => ({
      day,
      words: ` ${MONTHS[day.slice(5, 7) - 1]} ${day.slice(0, 4)}`,
      rows: data.days[day],
      texts: [],
    }));
    seasons.push({ name: data.season, teams: data.teams, sources: data.sources, days, done: 0,
      foldedTeams: data.teams.map(fold), foldedSources: data.sources.map(fold) });
    seasons.sort((one, other) => (one.name < other.name ? 1 : -1));
  }

  function learn(word) {
    const often = vocabulary.get(word) || 0;
    vocabulary.set(word, often + 1);
    if (!often && word.length > 2 && !/\d/.test(word)) unindexed.push(word);
  }

  /* Works for some milliseconds on what is not ready yet. Returns whether all is. */
  function prepare(milliseconds) {
    const until = performance.now() + milliseconds;
    narrowed = null;
    likely.clear();
    for (const part of seasons) {
      for (; part.done < part.days.length; part.done++) {
        if (performance.now() > until) return false;
        const { rows, texts } = part.days[part.done];
        part.days[part.done].words.split(" ").forEach(learn);
        for (const [, title, home, away, , , , source] of rows) {
          const text = fold(title) + (part.foldedTeams[home] || "") + (part.foldedTeams[away] || "")
            + (part.foldedSources[source] || "");
          texts.push(text);
          text.split(" ").forEach(learn);
        }
      }
    }
    if (typeof MiniSearch === "undefined") return true;
    index = index || new MiniSearch({ fields: ["word"], tokenize: (text) => [text], processTerm: (term) => term });
    while (unindexed.length) {
      if (performance.now() > until) return false;
      for (const word of unindexed.splice(-200)) index.add({ id: word, word });
    }
    return true;
  }

  /* What is asked: which days it may be, and the words that a highlight must have. */
  function parse(query) {
    let text = query.toLowerCase().normalize("NFKC");
    const days = [];
    const two = (number) => String(number).padStart(2, "0");
    const take = (pattern, meaning) => {
      text = text.replace(pattern, (...found) => (days.push(meaning(...found)), " "));
    };
    const on = (month, number, year) => {
      const end = `-${two(month)}-${two(number)}`;
      return (day) => day.endsWith(end) && (!year || day.startsWith(year));
    };
    const named = (name) => MONTHS.findIndex((month) => month.startsWith(name.slice(0, 3))) + 1;
    take(/(?<!\S)(\d{4})-(\d{1,2})(?:-(\d{0,2}))?(?!\S)/g, (_, year, month, number) => {
      const start = number ? `${year}-${two(month)}-${number}` : `${year}-${month}`;
      const whole = number ? `${year}-${two(month)}-${two(number)}` : `${year}-${two(month)}`;
      return (day) => day.startsWith(start) || day.startsWith(whole);
    });
    take(/(?<!\S)(\d{1,2})\/(\d{1,2})(?:\/(\d{4}))?(?!\S)/g, (_, month, number, year) => on(month, number, year));
    take(new RegExp(`(?<!\\S)(${MONTH})\\.?\\s+(\\d{1,2})(?:st|nd|rd|th)?(?:,?\\s+(\\d{4}))?(?!\\S)`, "g"),
      (_, month, number, year) => on(named(month), number, year));
    take(new RegExp(`(?<!\\S)(\\d{1,2})(?:st|nd|rd|th|\\.)?\\s+(${MONTH})\\.?(?:,?\\s+(\\d{4}))?(?!\\S)`, "g"),
      (_, number, month, year) => on(named(month), number, year));
    const words = fold(text).split(" ").filter((word) => word && !["vs", "v", "at", "the"].includes(word));
    return { days, words: words.slice(0, MOST_WORDS) };
  }

  /* Calls `take` with each highlight that has every word, each in one of its spellings, on such a day: newest first. */
  function scan(spellings, days, take) {
    const fits = (text, some) => some.some((word) => text.includes(word));
    for (const part of seasons) {
      for (let at = 0; at < part.done; at++) {
        const { day, words, texts } = part.days[at];
        if (!days.every((suits) => suits(day))) continue;
        const asked = spellings.filter((some) => !fits(words, some));
        for (let place = 0; place < texts.length; place++) {
          if (asked.every((some) => fits(texts[place], some))) take(part, at, place);
        }
      }
    }
  }

  /* How many highlights have these words on such a day, and the newest of them. */
  function search(spellings, days, most) {
    const found = [];
    let count = 0;
    scan(spellings, days, (part, at, place) => { if (count++ < most) found.push(shown(part, at, place)); });
    return { count, found };
  }

  /* The same of words as they are typed. Whoever types on narrows what was found before. */
  function plain(words, days, most) {
    const asked = words.map((word) => " " + word);
    const goesOn = narrowed && !days.length && narrowed.asked.every((word, at) => (asked[at] || "").startsWith(word));
    const found = [], places = [];
    let count = 0;
    const take = (part, at, place) => {
      if (count++ < most) found.push(shown(part, at, place));
      if (count <= MOST_NARROWED) places.push([part, at, place]);
    };
    if (goesOn) {
      for (const [part, at, place] of narrowed.places) {
        const { words: ofDay, texts } = part.days[at];
        if (asked.every((word) => texts[place].includes(word) || ofDay.includes(word))) take(part, at, place);
      }
    } else scan(asked.map((word) => [word]), days, take);
    narrowed = days.length || count > MOST_NARROWED ? null : { asked, places };
    return { count, found };
  }

  function shown(part, at, place) {
    const { day, rows } = part.days[at];
    const [id, title, home, away, score, seconds, flags, source] = rows[place];
    return { id: String(id), title: String(title), day, place, home: part.teams[home], away: part.teams[away], score,
      seconds, source: part.sources[source], state: STATES[flags & 3], removed: !!(flags & 4), changed: !!(flags & 8) };
  }

  /* The words of the archive that are most like one, the likest first. */
  function like(word) {
    if (likely.has(word)) return likely.get(word);
    const most = word.length < 4 ? 0 : word.length < 6 ? 1 : 2;
    const alike = most ? index.search(word, { fuzzy: 2, maxFuzzy: 2, prefix: false, tokenize: (text) => [text] }) : [];
    const found = alike.filter((one) => one.id !== word).map((one) => ({ word: one.id, off: distance(word, one.id) }))
      .filter((one) => one.off <= most);
    found.sort((one, other) => one.off - other.off || vocabulary.get(other.word) - vocabulary.get(one.word));
    likely.set(word, found.filter((one) => one.off <= found[0].off).slice(0, 4).map((one) => one.word));
    return likely.get(word);
  }

  /* How many slips of the keyboard are between two words; two letters that changed places are one. */
  function distance(one, other) {
    let before, last, next = Array.from({ length: other.length + 1 }, (_, at) => at);
    for (let i = 1; i <= one.length; i++) {
      [before, last, next] = [last, next, [i]];
      for (let j = 1; j <= other.length; j++) {
        const differs = one[i - 1] === other[j - 1] ? 0 : 1;
        next[j] = Math.min(last[j] + 1, next[j - 1] + 1, last[j - 1] + differs);
        const changedPlaces = i > 1 && j > 1 && one[i - 1] === other[j - 2] && one[i - 2] === other[j - 1];
        if (changedPlaces) next[j] = Math.min(next[j], before[j - 2] + 1);
      }
    }
    return next[other.length];
  }

  /* What a query finds: `count`, the newest as `found`, its `teams`, and the words that were `read` otherwise than they
     were typed. Where nothing is found, `guess` may find something. */
  function find(query, most) {
    const { days, words } = parse(query);
    if (!days.length && !words.length) return { count: 0, found: [], teams: [], read: [] };
    const teams = days.length ? [] : named(words.map((word) => [" " + word]));
    return { ...plain(words, days, most), teams, read: [] };
  }

  /* The same, with the words that the archive lacks read as those that are most like them; where it has each of them,
     one of them. It takes longer, so it waits for a pause. It needs the library, and what `prepare` makes with it. */
  function guess(query, most) {
    const { days, words } = parse(query);
    const exact = words.map((word) => [" " + word]), known = [...vocabulary.keys()];
    const unknown = words.map((word) => !known.some((other) => other.startsWith(word)));
    const doubted = unknown.includes(true) ? [unknown]
      : words.map((word, at) => words.map((_, other) => at === other && !(vocabulary.get(word) >= COMMON)));
    let best = { count: 0, found: [], teams: [], read: [] };
    for (const doubts of doubted) {
      const alike = words.map((word, at) => (doubts[at] ? like(word) : null));
      if (!doubts.includes(true) || alike.some((some) => some && !some.length)) continue;
      const spellings = exact.map((some, at) => (alike[at] ? alike[at].map((word) => " " + word) : some));
      const other = { ...search(spellings, days, most), teams: days.length ? [] : named(spellings),
        read: alike.flatMap((some, at) => (some ? [{ typed: words[at], words: some }] : [])) };
      if (other.count > best.count) best = other;
    }
    return best;
  }

  /* Teams that have these words in their names: at most three, the shortest names first. */
  function named(spellings) {
    const found = new Map();
    for (const { slug, name, text } of teams) {
      const isMeant = spellings.every((some) => some.some((word) => text.includes(word)));
      if (isMeant && !found.has(slug)) found.set(slug, { slug, name });
    }
    return [...found.values()].sort((one, other) => one.name.length - other.name.length).slice(0, 3);
  }

  /* Takes the teams of each season, which are given by slug. */
  function takeTeams(given) {
    names = Object.keys(given).sort().reverse();
    teams = names.flatMap((season) => Object.entries(given[season])
      .map(([slug, name]) => ({ slug, name: String(name), text: fold(name) })));
  }

  return {
    season, prepare, find, guess, fold,
    seasons: takeTeams,
    get names() { return names; },
    get loaded() { return seasons.map((part) => part.name); },
  };
})();
