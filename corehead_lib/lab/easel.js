// A scene of the reader's own: shapes with digits in a few places, drawn as worlds/sprites.py draws them, and its questions.
"use strict";
(() => {
  const lab = (globalThis.coreheadLab ??= {});
  const clamp = (x) => Math.max(0, Math.min(255, x));

  class Easel {
    constructor(kit, layers) {
      Object.assign(this, { kit, layers, background: "white", things: new Map() }); // place -> {shape, colour, digit}
      this.width = kit.side * kit.across;
      this.things.set(1, { shape: "star", colour: "red", digit: "4" });
      this.things.set(6, { shape: "moon", colour: "blue", digit: "7" });
      this.things.set(12, { shape: "circle", colour: "red", digit: "2" });
    }

    static async from(kit) {
      const bytes = await lab.inflate(lab.bytes(kit.layers));
      return new Easel(kit, new Int16Array(bytes.buffer, 0, bytes.length / 2));
    }

    // RGB bytes. A pixel of a sprite is background x (1 - alpha) + colour x paint + 255 x badge.
    pixels() {
      const { kit, width, layers } = this, area = kit.side ** 2, made = new Uint8Array(3 * width ** 2);
      const layer = (number) => layers.subarray(number * area, (number + 1) * area);
      const ground = kit.backgrounds[this.background];
      for (let i = 0; i < made.length; i++) made[i] = ground[i % 3];
      for (const [place, { shape, colour, digit }] of this.things) {
        const kind = kit.shapes.indexOf(shape), many = kit.shapes.length;
        const alpha = layer(kind), paint = layer(many + kind), badge = layer(2 * many + Number(digit));
        const left = kit.side * (place % kit.across), top = kit.side * Math.floor(place / kit.across);
        for (let i = 0; i < area; i++) {
          const at = 3 * ((top + Math.floor(i / kit.side)) * width + left + (i % kit.side));
          for (let c = 0; c < 3; c++) {
            const ink = clamp((kit.colours[colour][c] * paint[i] + 255 * badge[i]) / kit.unit);
            made[at + c] = Math.round(clamp(ground[c] * (1 - alpha[i] / kit.unit) + ink));
          }
        }
      }
      return made;
    }

    // Questions that have one answer in this scene, as those of the gallery.
    questions() {
      const { kit } = this, digits = "0123456789".split("");
      const made = (text, answer, options, place) => ({ text, answer, ids: [...kit.before, ...kit.questions[text]],
        options: options.map((option) => [option, kit.tokens[option]]), targets: place < 0 ? [] : kit.targets[place],
        boxes: place < 0 ? [] : [[0, ...this.box(place)]], words: [] });
      const places = new Map();
      for (const [place, { shape, colour }] of this.things)
        for (const name of [shape, `${colour} shape`, `${colour} ${shape}`])
          places.set(name, [...(places.get(name) ?? []), place]);
      const one = [...places].filter(([, found]) => found.length === 1);
      return [...one.map(([name, [place]]) =>
        made(`Which digit is on the ${name}?`, this.things.get(place).digit, digits, place)),
        made("Which colour is the background?", this.background, Object.keys(kit.backgrounds), -1)];
    }

    box(place) {
      const { side, across } = this.kit, x = side * (place % across), y = side * Math.floor(place / across);
      return [x, y, x + side, y + side];
    }

    picture() {
      return { kind: "own", sizes: [[this.width, this.width]], frames: [this.pixels()], runs: [[0, 0]], questions: this.questions() };
    }
  }

  // The controls: what to put down, and a button for every place.
  class EaselView {
    // changed(picture): the scene is another one.
    constructor(root, easel, changed) {
      Object.assign(this, { root, easel, changed, pen: { shape: "star", colour: "green", digit: "9" }, buttons: [] });
      const { kit } = easel;
      root.classList.add("easel");
      const pens = lab.add(root, "div", { class: "pens" });
      this.select(pens, "Put a", Object.keys(kit.colours), this.pen.colour, (value) => (this.pen.colour = value));
      this.select(pens, "", kit.shapes, this.pen.shape, (value) => (this.pen.shape = value), "shape");
      this.select(pens, "with a", "0123456789".split(""), this.pen.digit, (value) => (this.pen.digit = value), "digit");
      this.select(pens, "on", Object.keys(kit.backgrounds), easel.background, (value) => {
        easel.background = value;
        this.update();
      }, "background");
      lab.add(pens, "button", { type: "button" }, "clear").addEventListener("click", () => (easel.things.clear(), this.update()));
      const grid = lab.add(root, "div", { class: "places", role: "group", "aria-label": "Places of your scene" });
      this.canvas = lab.add(grid, "img", { alt: "" });
      for (let place = 0; place < kit.across ** 2; place++) {
        const button = lab.add(grid, "button", { type: "button" });
        button.addEventListener("click", () => this.put(place));
        this.buttons.push(button);
      }
      this.said = lab.add(root, "p", { role: "status", class: "hint" });
      this.update();
    }

    select(root, text, options, chosen, taken, name = "colour") {
      const label = lab.add(root, "label", {}, text && `${text} `);
      const select = lab.add(label, "select", { "aria-label": name });
      select.replaceChildren(...options.map((option) => new Option(option, option, false, option === chosen)));
      select.addEventListener("change", () => taken(select.value));
    }

    // What stands there goes; where nothing stands, the pen puts a shape.
    put(place) {
      const { things, kit } = this.easel;
      const full = !things.has(place) && things.size >= kit.most;
      if (!full && !things.delete(place)) things.set(place, { ...this.pen });
      this.update(full ? `${kit.most} shapes are the most that the model has seen: take one away first.` : "");
    }

    update(said = "") {
      const { easel, buttons } = this, { across } = easel.kit;
      buttons.forEach((button, place) => {
        const thing = easel.things.get(place), at = `row ${Math.floor(place / across) + 1}, column ${(place % across) + 1}`;
        button.setAttribute("aria-label", `${at}: ${thing ? `${thing.colour} ${thing.shape} with a ${thing.digit}` : "empty"}`);
      });
      this.said.textContent = said || "Click a place to put a shape there, or to take it away.";
      const picture = easel.picture();
      this.canvas.src = lab.address(picture.frames[0], easel.width, easel.width);
      this.changed(picture);
    }
  }

  Object.assign(lab, { Easel, EaselView });
})();
