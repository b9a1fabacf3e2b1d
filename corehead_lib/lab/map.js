// The map of heads: one button each, layers across heads, to be clicked, touched, or walked over with the arrow keys.
"use strict";
(() => {
  const lab = (globalThis.coreheadLab ??= {});
  const STEPS = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };

  class HeadMap {
    // pressed(number): switch this head; looked(number): show this one; looked(null): the pointer left.
    constructor(root, layers, heads, pressed, looked) {
      Object.assign(this, { root, layers, heads });
      root.setAttribute("role", "grid");
      root.setAttribute("aria-label", "Heads; a row for each layer");
      this.buttons = [];
      for (let layer = 0; layer < layers; layer++) {
        const row = lab.add(root, "div", { role: "row" });
        lab.add(row, "span", { role: "rowheader", style: `--layer:${layer};--head:-1` }, String(layer));
        for (let head = 0; head < heads; head++) {
          const cell = lab.add(row, "div", { role: "gridcell", style: `--layer:${layer};--head:${head}` });
          const number = layer * heads + head;
          const button = lab.add(cell, "button", { type: "button", role: "switch", tabindex: number ? -1 : 0 });
          button.addEventListener("click", () => (this.hold(number), pressed(number)));
          button.addEventListener("focus", () => (this.hold(number), looked(number, true)));
          button.addEventListener("pointerenter", (event) => event.pointerType === "mouse" && looked(number));
          button.addEventListener("keydown", (event) => this.walk(event, number));
          this.buttons.push(button);
        }
      }
      root.addEventListener("pointerleave", () => looked(null));
    }

    // The one button that the Tab key finds.
    hold(number) {
      for (const button of this.buttons) button.tabIndex = -1;
      this.buttons[number].tabIndex = 0;
    }

    walk(event, number) {
      const step = STEPS[event.key];
      if (!step || event.ctrlKey || event.altKey || event.metaKey) return;
      event.preventDefault();
      // on a narrow screen the map is turned: layers from left to right, heads from top to bottom
      const turned = getComputedStyle(this.root).getPropertyValue("--turned").trim() === "1";
      const [along, up] = turned ? [-step[1], step[0]] : step;
      const layer = Math.floor(number / this.heads) + up, head = (number % this.heads) + along;
      if (layer >= 0 && layer < this.layers && head >= 0 && head < this.heads)
        this.buttons[layer * this.heads + head].focus();
    }

    // values: one a head, shown against `top`; off and framed: sets of numbers.
    paint(values, top, off, framed, chosen) {
      this.buttons.forEach((button, number) => {
        const layer = Math.floor(number / this.heads), head = number % this.heads;
        button.style.setProperty("--share", Math.min(1, values[number] / top).toFixed(3));
        button.classList.toggle("off", off.has(number));
        button.classList.toggle("framed", framed.has(number));
        button.classList.toggle("chosen", number === chosen);
        const label = `Layer ${layer}, head ${head}: ${values[number].toFixed(3)}`;
        button.setAttribute("aria-checked", !off.has(number));
        button.setAttribute("aria-label", label);
        button.title = `${label}, ${off.has(number) ? "off" : "on"}`;
      });
    }
  }

  lab.HeadMap = HeadMap;
})();
