// Runs before the first paint, so that a chosen theme does not flash in the other one.
try {
  var theme = localStorage.getItem("theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch (e) {
  // Storage is closed to us: the system's theme holds.
}
