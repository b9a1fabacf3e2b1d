// What the page asks: the model, the tower, and the pictures of data.js, each decoded and seen once.
"use strict";
(() => {
  const lab = (globalThis.coreheadLab ??= {});

  const joined = (parts) => {
    const made = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
    let at = 0;
    for (const part of parts) made.set(part, at), (at += part.length);
    return made;
  };

  class Engine {
    constructor(data) {
      const weights = lab.safetensors(lab.bytes(data.weights)), vision = data.config.vision_config;
      delete data.weights;
      this.data = data;
      this.model = new lab.Model(weights, data.config);
      this.tower = new lab.Tower(weights, vision);
      this.cell = vision.patch_size * vision.spatial_merge_size;
      this.layers = data.config.text_config.num_hidden_layers;
      this.heads = data.config.text_config.num_attention_heads;
      this.top = data.ranking.map(([layer, head]) => layer * this.heads + head); // all heads, the best first
    }

    // The frames of a picture as RGB bytes.
    async frames(picture) {
      if (picture.frames) return picture.frames;
      const all = await lab.inflate(lab.bytes(picture.pixels));
      let at = 0;
      return (picture.frames = picture.sizes.map(([w, h]) => all.subarray(at, (at += 3 * w * h))));
    }

    // Rows and columns of cells of each run of visual tokens.
    grids(picture) {
      return picture.runs.map(([frame]) => picture.sizes[frame].map((side) => side / this.cell).reverse());
    }

    async prompt(picture, question) {
      const frames = await this.frames(picture);
      picture.features ??= (() => {
        const runs = picture.runs.map((run) => this.tower.run(run.map((f) => frames[f]), ...picture.sizes[run[0]]));
        return (runs[0] ?? []).map((_, part) => joined(runs.map((run) => run[part])));
      })();
      return this.model.prompt(question.ids, this.grids(picture), picture.features);
    }

    // What the test calls: everything about one question of the gallery, without the heads of `off`.
    async ask(picture, question, off = []) {
      const chosen = this.data.pictures[picture];
      const prompt = await this.prompt(chosen, chosen.questions[question]);
      return this.model.run(prompt, new Set(off));
    }
  }

  // Sum of a head's look over some tokens.
  lab.mass = (look, head, tokens, places) => places.reduce((sum, t) => sum + look[head * tokens + t], 0);
  lab.Engine = Engine;
})();
