/* Figures open at full size when tapped, what scrolls can be reached by keyboard, and print is light. */
(() => {
  const dialog = document.createElement("dialog");
  dialog.className = "enlarged";
  dialog.setAttribute("aria-label", "Figure at full size");
  dialog.innerHTML = '<button type="button" aria-label="Close">\u00d7</button><div tabindex="0"><img alt=""></div>';

  const open = (image) => {
    const [large] = dialog.getElementsByTagName("img");
    large.src = image.currentSrc || image.src;
    large.alt = image.alt;
    dialog.showModal();
  };

  const enlargeable = () => {
    document.body.append(dialog);
    dialog.addEventListener("click", (event) => event.target.localName !== "img" && dialog.close());
    for (const image of document.querySelectorAll("article figure img")) {
      image.tabIndex = 0;
      image.setAttribute("role", "button");
      image.setAttribute("aria-haspopup", "dialog");
      image.addEventListener("click", () => open(image));
      image.addEventListener("keydown", (event) => event.key === "Enter" && open(image));
    }
  };

  const reachable = () => {
    for (const part of document.querySelectorAll("article :is(pre, .output, .corehead-results, .pst-scrollable-table-container, mjx-container)")) {
      if (part.scrollWidth > part.clientWidth + 1) part.tabIndex = 0;
    }
  };

  const named = () => {
    // What is written on a control is its name; a label that says something else hides it from those who speak to it.
    for (const control of document.querySelectorAll("summary[aria-label], .search-button-field[aria-label]")) {
      control.removeAttribute("aria-label");
    }
    for (const icon of document.querySelectorAll(".theme-switch-button :is(i, svg)")) {
      icon.removeAttribute("title");
      for (const title of icon.querySelectorAll("title")) title.remove();
      icon.removeAttribute("aria-labelledby"); // of the title that is gone
      icon.setAttribute("aria-hidden", "true"); // its button has a name
    }
    for (const list of document.querySelectorAll(".citation-list[role=list]")) list.removeAttribute("role"); // of no list items
  };

  document.addEventListener("DOMContentLoaded", enlargeable);
  document.addEventListener("DOMContentLoaded", named);
  window.addEventListener("load", () => (named(), setTimeout(named, 300))); // icons are drawn late
  window.addEventListener("load", reachable);
  window.addEventListener("resize", reachable);
  document.addEventListener("toggle", reachable, true); // what was folded has no width before
  document.addEventListener("click", () => setTimeout(reachable));

  const { dataset } = document.documentElement;
  let theme;
  window.addEventListener("beforeprint", () => ([theme, dataset.theme] = [dataset.theme, "light"]));
  window.addEventListener("afterprint", () => (dataset.theme = theme));
})();
