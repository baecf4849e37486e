// What the pages gain with scripts; without them every link and form works all the same.
(() => {
  "use strict";
  const language = document.documentElement.lang || "en";
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];

  // times in the viewer's own zone: relative where they stand, exact in the title
  const units = [["year", 31536000], ["month", 2592000], ["day", 86400], ["hour", 3600], ["minute", 60]];
  const relative = new Intl.RelativeTimeFormat(language, { numeric: "auto", style: "narrow" });
  const exact = new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "long" });
  const tellTime = (element) => {
    const moment = new Date(element.dateTime);
    if (Number.isNaN(moment.getTime())) return;
    const seconds = (moment - Date.now()) / 1000;
    const [unit, length] = units.find(([, size]) => Math.abs(seconds) >= size) || ["second", 1];
    element.title = exact.format(moment);
    if (!element.hasAttribute("data-exact")) {
      element.textContent = relative.format(Math.trunc(seconds / length), unit);
    } else {
      element.textContent = exact.format(moment);
    }
  };
  const tellTimes = (within) => all("time[datetime]", within).forEach(tellTime);

  const isTyping = (element) => element && (/^(INPUT|TEXTAREA|SELECT)$/.test(element.tagName) || element.isContentEditable);

  // copy buttons
  const copy = async (button) => {
    const text = button.dataset.copies;
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      const area = document.createElement("textarea"); // plain HTTP beyond localhost has no clipboard
      area.value = text;
      area.className = "visually-hidden";
      button.after(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
    button.classList.add("copied");
    setTimeout(() => button.classList.remove("copied"), 1500);
  };

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-copies]");
    if (button) {
      event.preventDefault();
      copy(button);
    }
    const opener = event.target.closest("[data-opens]");
    if (opener) document.getElementById(opener.dataset.opens)?.showModal();
    all("details[data-closes][open]").forEach((menu) => {
      if (!menu.contains(event.target)) menu.open = false;
    });
  });

  // rows by keyboard, places by two keys
  const places = { h: "/", r: "/registries", p: "/repositories", i: "/images", j: "/jobs", a: "/activity" };
  let isGoing = false;
  const step = (by) => {
    const rows = all("main tbody tr").filter((row) => row.querySelector("a"));
    if (!rows.length) return;
    const at = rows.findIndex((row) => row.contains(document.activeElement));
    const next = rows[Math.min(Math.max(at + by, 0), rows.length - 1)];
    next.querySelector("a").focus();
  };
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") all("details[data-closes][open]").forEach((menu) => { menu.open = false; });
    if (event.ctrlKey || event.metaKey || event.altKey || isTyping(document.activeElement)) return;
    if (isGoing) {
      isGoing = false;
      if (places[event.key]) location.assign(places[event.key]);
      return;
    }
    const acts = {
      "/": () => document.querySelector("[data-search]")?.focus(),
      "?": () => document.getElementById("keys-help")?.showModal(),
      g: () => { isGoing = true; setTimeout(() => { isGoing = false; }, 1500); },
      j: () => step(1),
      k: () => step(-1),
    };
    if (acts[event.key]) {
      event.preventDefault();
      acts[event.key]();
    }
  });

  // select all, and how many are selected
  const count = (form) => {
    const chosen = all("input[data-selects]:checked", form).length;
    const limit = Number(form.dataset.selectLimit || 50);
    all("[data-selected]", form).forEach((place) => { place.textContent = String(chosen); });
    all("[data-needs-selection]", form).forEach((button) => { button.disabled = !chosen || chosen > limit; });
    all("[data-over-limit]", form).forEach((place) => { place.hidden = chosen <= limit; });
  };
  let lastBox = null;
  document.addEventListener("click", (event) => {
    const box = event.target.closest("input[data-selects]");
    if (!box) return;
    const boxes = all("input[data-selects]", box.form);
    if (event.shiftKey && lastBox && boxes.includes(lastBox)) {
      const [from, to] = [boxes.indexOf(lastBox), boxes.indexOf(box)].sort((one, other) => one - other);
      boxes.slice(from, to + 1).forEach((one) => { one.checked = box.checked; });
    }
    lastBox = box;
    count(box.form);
  });
  document.addEventListener("change", (event) => {
    const box = event.target.closest("input[data-selects-all]");
    if (box) {
      all("input[data-selects]", box.form).forEach((one) => { one.checked = box.checked; });
      count(box.form);
    }
    const field = event.target.closest("[data-submits]");
    if (field) field.form.requestSubmit();
  });

  // a name that must be typed before the button works
  document.addEventListener("input", (event) => {
    const field = event.target.closest("[data-confirms]");
    if (!field) return;
    const button = field.form.querySelector("[data-confirmed]");
    if (button) button.disabled = field.value !== field.dataset.confirms;
  });

  // refresh: the part that is marked is fetched again and swapped in place; automatic unless somebody types or selects
  const refresh = () => {
    const part = document.querySelector("[data-refreshes]");
    if (!part || !window.htmx) return location.reload();
    return window.htmx.ajax("GET", location.href, {
      target: `#${part.id}`, select: `#${part.id}`, swap: "outerMorph",
    });
  };
  const isBusy = () =>
    document.hidden || isTyping(document.activeElement) || document.querySelector("dialog[open], details[data-closes][open], :popover-open") ||
    document.querySelector("input[data-selects]:checked") || String(getSelection()).length;
  let timer = null;
  const auto = (box) => {
    clearInterval(timer);
    try {
      localStorage.setItem("scr-auto-refresh", box.checked ? "1" : "");
    } catch {
      // this page only
    }
    if (box.checked) timer = setInterval(() => { if (!isBusy()) refresh(); }, Number(box.dataset.autoRefresh) * 1000);
  };
  document.addEventListener("change", (event) => {
    const box = event.target.closest("[data-auto-refresh]");
    if (box) auto(box);
  });
  document.addEventListener("click", (event) => {
    if (!event.target.closest("[data-refresh]")) return;
    event.preventDefault();
    refresh();
  });

  // what is still going on is followed without being asked to
  setInterval(() => { if (document.querySelector("[data-follows]") && !isBusy()) refresh(); }, 2000);

  const begin = () => {
    tellTimes(document);
    all("form[data-select-limit]").forEach(count);
    const box = document.querySelector("[data-auto-refresh]");
    try {
      if (box && localStorage.getItem("scr-auto-refresh")) {
        box.checked = true;
        auto(box);
      }
    } catch {
      // off, then
    }
  };
  begin();
  // a field is marked as what stands beside it says
  const markFields = () => all("[data-judges]").forEach((place) => {
    const field = document.getElementById(place.dataset.judges);
    const isWrong = Boolean(place.querySelector(".invalid-feedback, .wrong"));
    field?.classList.toggle("is-invalid", isWrong);
    field?.setAttribute("aria-invalid", String(isWrong));
  });
  document.addEventListener("htmx:after:swap", () => {
    tellTimes(document);
    markFields();
  });
  setInterval(() => { if (!document.hidden) tellTimes(document); }, 60000);
})();
