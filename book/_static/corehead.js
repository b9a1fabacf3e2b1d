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

  document.addEventListener("DOMContentLoaded", enlargeable);
  window.addEventListener("load", reachable);
  window.addEventListener("resize", reachable);
  document.addEventListener("toggle", reachable, true); // what was folded has no width before
  document.addEventListener("click", () => setTimeout(reachable));

  const { dataset } = document.documentElement;
  let theme;
  window.addEventListener("beforeprint", () => ([theme, dataset.theme] = [dataset.theme, "light"]));
  window.addEventListener("afterprint", () => (dataset.theme = theme));
})();
