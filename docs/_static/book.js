// What is wider than its place scrolls: the keyboard has to reach it, too
function reach() {
  for (const part of document.querySelectorAll("pre, .table-wrapper, .text_html, div.math")) {
    if (part.scrollWidth > part.clientWidth) part.tabIndex = 0;
    else part.removeAttribute("tabindex");
  }
}
addEventListener("load", () => {
  reach();
  window.MathJax?.startup?.promise?.then(reach);
});
addEventListener("resize", reach);
document.addEventListener("toggle", reach, true);

// The two columns beside the text are told apart by name
for (const [column, name] of [[".sidebar-drawer", "All pages"], [".toc-drawer", "On this page"]]) {
  document.querySelector(column)?.setAttribute("aria-label", name);
}
