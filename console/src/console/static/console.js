// The theme changes in place, "/" goes to the user search, and a page that lives asks for its news.
// Without this file all still works.
(function () {
  "use strict";
  const themes = ["system", "light", "dark"];
  const root = document.documentElement;
  const form = document.getElementById("theme");
  const button = form.querySelector("button");
  const scheme = document.querySelector('meta[name="color-scheme"]');

  function show(theme) {
    if (theme === "system") delete root.dataset.theme;
    else root.dataset.theme = theme;
    scheme.content = theme === "system" ? "light dark" : theme;
    button.querySelector("span").textContent = theme;
    button.value = themes[(themes.indexOf(theme) + 1) % themes.length];
  }

  form.addEventListener("submit", function (event) {
    event.preventDefault();
    const theme = button.value;
    document.cookie = "lenta_theme=" + theme + "; Path=/console; Max-Age=31536000; SameSite=Lax";
    show(theme);
  });

  document.addEventListener("keydown", function (event) {
    const search = document.getElementById("user");
    const typing = event.target.closest("input, select, textarea, [contenteditable]");
    if (event.key !== "/" || !search || typing || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    search.focus();
    search.select();
  });

  if (document.body.dataset.poll) live();

  // Every 15 s, only while the tab is seen: replaces numbers and pictures, never what holds the focus or is open.
  function live() {
    const every = 15000, longest = 240000;
    const pause = document.getElementById("pause");
    const said = document.getElementById("said");
    const fresh = document.getElementById("fresh");
    let wait = every, timer = 0, tag = "", paused = false, heard = Date.now(), asking = false;

    root.classList.add("scripted");
    pause.addEventListener("click", function () {
      paused = !paused;
      pause.setAttribute("aria-pressed", String(paused));
      pause.textContent = paused ? "Resume" : "Pause";
      said.textContent = paused ? "Updates paused" : "Updates on";
      if (paused) clearTimeout(timer);
      else ask();
    });
    document.addEventListener("visibilitychange", function () {
      clearTimeout(timer);
      if (!document.hidden && !paused) timer = setTimeout(ask, Math.max(0, heard + wait - Date.now()));
    });
    timer = setTimeout(ask, every);

    async function ask() {
      clearTimeout(timer);
      if (paused || document.hidden || asking) return;
      asking = true;
      try {
        const answer = await fetch(location.href, { headers: tag ? { "If-None-Match": tag } : {}, cache: "no-store" });
        if (answer.status !== 304 && !answer.ok) throw new Error(String(answer.status));
        if (answer.ok) {
          tag = answer.headers.get("ETag") || "";
          take(new DOMParser().parseFromString(await answer.text(), "text/html"));
        }
        heard = Date.now();
        wait = every;
        age();
      } catch (error) {
        wait = Math.min(wait * 2, longest);
        age();
      } finally {
        asking = false;
        if (!paused && !document.hidden) timer = setTimeout(ask, wait);
      }
    }

    function age() {
      const late = wait > every;
      fresh.classList.toggle("old", late);
      let note = fresh.querySelector(".late");
      if (late && !note) {
        note = document.createElement("span");
        note.className = "late";
        fresh.append(note);
      }
      if (note && !late) note.remove();
      if (late) note.textContent = "not updated for " + Math.max(1, Math.round((Date.now() - heard) / 60000)) + " min";
    }

    function take(news) {
      const next = byKey(news), here = byKey(document);
      const same = next.size === here.size && [...here.keys()].every((key) => next.has(key));
      const main = document.getElementById("main");
      if (!same) {
        const before = spoken(document);
        if (!held(main)) {
          main.replaceChildren(...news.getElementById("main").childNodes);
          announce(before);
        }
        return;
      }
      const before = spoken(document);
      here.forEach(function (old, key) {
        const now = next.get(key);
        if (held(old)) return;
        if (old.className !== now.className) old.setAttribute("class", now.getAttribute("class") || "");
        if (old.innerHTML !== now.innerHTML) old.replaceChildren(...now.childNodes);
      });
      document.querySelectorAll("[data-class]").forEach(function (old) {
        const now = news.querySelector('[data-class="' + old.dataset.class + '"]');
        if (now) old.className = now.className;
      });
      document.title = news.title;
      announce(before);
    }

    function byKey(from) {
      return new Map([...from.querySelectorAll("[data-live]")].map((one) => [one.dataset.live, one]));
    }

    function held(region) {
      return (region.contains(document.activeElement) && document.activeElement !== document.body
        && document.activeElement.id !== "main") || region.querySelector("details[open], form") !== null;
    }

    function spoken(from) {
      return [...from.querySelectorAll("[data-announce]")].map((one) => one.textContent.trim()).join(". ");
    }

    function announce(before) {
      const now = spoken(document);
      if (now !== before) said.textContent = now;
    }
  }
})();
