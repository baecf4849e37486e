// Runs before the page is painted: the theme that was chosen, else the system's.
(() => {
  "use strict";
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const chosen = () => {
    try {
      return localStorage.getItem("scr-theme") || "auto";
    } catch {
      return "auto"; // storage is off: the system decides
    }
  };
  const apply = () => {
    const theme = chosen();
    const isDark = theme === "dark" || (theme === "auto" && dark.matches);
    document.documentElement.dataset.bsTheme = isDark ? "dark" : "light";
  };
  dark.addEventListener("change", apply);
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-theme]");
    if (!button) return;
    try {
      localStorage.setItem("scr-theme", button.dataset.theme);
    } catch {
      // for this page only, then
    }
    apply();
  });
  apply();
})();
