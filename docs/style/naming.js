// What the theme adds to a page is made usable for all: the landmark around the button that copies a
// block of code gets a name, and a table that may have to be scrolled can be reached by Tab.

{
  let blocks = 0;

  const mend = () => {
    for (const landmark of document.querySelectorAll(".md-code__nav:not([aria-label])")) {
      blocks += 1;
      landmark.setAttribute("aria-label", `Code block ${blocks}`);
    }
    for (const table of document.querySelectorAll(".md-typeset__scrollwrap")) table.tabIndex = 0;
  };

  new MutationObserver(mend).observe(document.body, { childList: true, subtree: true });
  mend();
}
