// The live lab: a model that answers in the page, and heads to be switched off. Put
//   <div class="corehead-lab"></div> <script defer src=".../lab.js"></script>
// on a page. The rest lies beside this file, and is loaded when the reader asks for it.
"use strict";
(() => {
  const lab = (globalThis.coreheadLab ??= {});
  const HOME = new URL(".", document.currentScript.src);
  const PARTS = ["tensor.js", "tower.js", "model.js", "engine.js", "look.js", "map.js", "easel.js", "view.js", "data.js"];

  const load = (name) =>
    new Promise((done, failed) => {
      const script = document.createElement("script");
      Object.assign(script, { src: new URL(name, HOME), async: false, onload: done });
      script.onerror = () => failed(new Error(`${name} is missing: 'make html' and 'corehead lab' write it.`));
      document.head.append(script);
    });

  // Everything, once for all labs of a page.
  const loadAll = async () => {
    await Promise.all(PARTS.map(load));
    return (lab.engine ??= new lab.Engine(lab.data));
  };

  const offer = (root) => {
    root.setAttribute("role", "group");
    root.setAttribute("aria-label", "Live lab");
    const start = document.createElement("p"), button = document.createElement("button");
    const said = document.createElement("span");
    start.className = "start";
    button.type = "button";
    button.textContent = "Start the lab";
    said.setAttribute("role", "status");
    said.textContent = "The model is loaded into this page, about 8 MB, and computes here; nothing is sent anywhere.";
    start.append(button, said);
    root.replaceChildren(start);
    button.addEventListener("click", async () => {
      button.disabled = true;
      said.textContent = "Loading the model ...";
      try {
        const engine = await (lab.loading ??= loadAll());
        start.remove();
        await new lab.View(root, engine).begin();
      } catch (error) {
        said.textContent = `The lab cannot start: ${error.message}`;
      }
    });
  };

  const style = document.createElement("link");
  Object.assign(style, { rel: "stylesheet", href: new URL("lab.css", HOME) });
  document.head.append(style);
  for (const root of document.querySelectorAll(".corehead-lab:not([data-ready])")) {
    root.dataset.ready = "";
    offer(root);
  }
})();
