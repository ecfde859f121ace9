// The theme changes in place, and "/" goes to the user search. Without this file all still works.
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
})();
