// Where a head looks: pictures whose cells get dark where it does not, and text that is shaded where it does.
"use strict";
(() => {
  const lab = (globalThis.coreheadLab ??= {});
  const SVG = "http://www.w3.org/2000/svg";

  const add = (parent, name, attributes = {}, text = "") => {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.textContent = text;
    return parent.appendChild(made);
  };
  const draw = (parent, name, attributes) => {
    const made = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    return parent.appendChild(made);
  };
  const corners = ([x0, y0, x1, y1]) => ({ x: x0, y: y0, width: x1 - x0, height: y1 - y0 });

  // RGB bytes as an address that <img> and <image> understand.
  const address = (pixels, width, height) => {
    const canvas = document.createElement("canvas");
    Object.assign(canvas, { width, height });
    const image = new ImageData(width, height);
    for (let i = 0, j = 0; i < pixels.length; i += 3, j += 4) image.data.set([...pixels.subarray(i, i + 3), 255], j);
    canvas.getContext("2d").putImageData(image, 0, 0);
    return canvas.toDataURL();
  };

  const NAMES = { scene: () => "scene", own: () => "your scene", document: (n) => `page ${n + 1}`, clip: (n) => `frame ${n + 1}`,
    text: (n) => `picture ${n + 1}` };

  class Look {
    constructor(media, words) {
      Object.assign(this, { media, words, painters: [] });
    }

    // Draw a picture with the evidence of one question. `places` are its visual tokens, `cell` the side of one.
    show(picture, question, places, cell) {
      this.media.replaceChildren();
      this.words.replaceChildren();
      this.painters = [];
      let first = 0;
      const many = picture.sizes.length;
      for (const run of picture.runs) {
        const [width, height] = picture.sizes[run[0]], columns = width / cell;
        const mine = places.slice(first, (first += (columns * height) / cell));
        for (const frame of new Set(run)) {
          const scale = (many > 6 ? 82 : many > 1 ? 132 : 288) / Math.max(width, height);
          const figure = add(this.media, "figure");
          const svg = draw(figure, "svg", { viewBox: `0 0 ${width} ${height}`, width: width * scale,
            height: height * scale, role: "img" });
          draw(svg, "image", { href: address(picture.frames[frame], width, height), width, height });
          const veils = mine.map((place, i) => {
            const x = (i % columns) * cell, y = Math.floor(i / columns) * cell;
            return [place, draw(svg, "rect", { ...corners([x, y, x + cell, y + cell]), class: "veil" })];
          });
          for (const [at, ...box] of question.boxes)
            if (at === frame) draw(svg, "rect", { ...corners(box), class: "evidence" });
          const caption = add(figure, "figcaption"), name = NAMES[picture.kind](frame);
          this.painters.push((weight, top) => {
            const sum = mine.reduce((all, place) => all + weight[place], 0).toFixed(2);
            for (const [place, veil] of veils)
              veil.setAttribute("fill-opacity", (0.82 * (1 - Math.min(1, weight[place] / top))).toFixed(3));
            caption.textContent = `${name}: ${sum}`;
            svg.setAttribute("aria-label", `${name}: ${sum} of this head's attention; cells that get little are dark`);
          });
        }
      }
      this.text(question);
    }

    text(question) {
      let pictures = 0;
      const named = (text) => text.replace(/\ufffc/g, () => ` [picture ${++pictures}] `);
      const targets = new Set(question.targets);
      const spans = question.words.map(([text, place]) =>
        [place, add(this.words, "span", targets.has(place) ? { class: "target" } : {}, named(text))]);
      this.painters.push((weight, top) => {
        for (const [place, span] of spans)
          if (place >= 0) span.style.setProperty("--look", Math.min(1, weight[place] / top).toFixed(3));
      });
    }

    // weight: attention to each token; top: the weight that is brightest.
    paint(weight, top) {
      for (const painter of this.painters) painter(weight, top);
    }
  }

  Object.assign(lab, { Look, add, address });
})();
