// The vision tower of Qwen3-VL: patches of pixels to one visual token for each 2 x 2 patches, and DeepStack's
// features for the first layers of the language model. After transformers' modeling_qwen3_vl.py.
"use strict";
(() => {
  const lab = (globalThis.coreheadLab ??= {});
  const EPS = 1e-6;

  // Rows and columns of the patches of a picture, block by block, so that four that are merged follow each other.
  const order = (high, wide, merge) => {
    const places = [];
    for (let y = 0; y < high; y += merge)
      for (let x = 0; x < wide; x += merge)
        for (let i = 0; i < merge; i++) for (let j = 0; j < merge; j++) places.push([y + i, x + j]);
    return places;
  };

  class Tower {
    constructor(weights, config) {
      this.config = config;
      this.of = (name) => weights[`model.visual.${name}`];
    }

    linear(x, name) {
      const b = this.of(`${name}.bias`);
      return lab.linear(x, this.of(`${name}.weight`), b.length, b);
    }

    norm(x, name) {
      return lab.layerNorm(x, this.of(`${name}.weight`), this.of(`${name}.bias`), EPS);
    }

    // frames: as many Uint8Arrays of RGB as a temporal patch has. Returns the embedding of each cell and what
    // DeepStack adds, [embeds, first, second, ...], each (cells, width of the language model).
    run(frames, width, height) {
      const { patch_size: side, spatial_merge_size: merge, deepstack_visual_indexes: deep, depth } = this.config;
      const high = height / side, wide = width / side, places = order(high, wide, merge);
      let x = this.linear(this.patches(frames, width, places), "patch_embed.proj");
      this.addPositions(x, places, high, wide);
      const found = [];
      for (let block = 0; block < depth; block++) {
        x = this.block(x, `blocks.${block}`, places);
        const number = deep.indexOf(block);
        const merger = `deepstack_merger_list.${number}`; // its norm spans four patches, the last merger's one
        if (number >= 0) found[number] = this.merged(this.norm(x, `${merger}.norm`), merger);
      }
      return [this.merged(this.norm(x, "merger.norm"), "merger"), ...found];
    }

    // (patches, colour * time * side * side), each pixel from -1 to 1.
    patches(frames, width, places) {
      const side = this.config.patch_size, x = new Float32Array(places.length * 3 * frames.length * side * side);
      let at = 0;
      for (const [row, column] of places)
        for (let colour = 0; colour < 3; colour++)
          for (const frame of frames)
            for (let i = 0; i < side; i++)
              for (let j = 0; j < side; j++)
                x[at++] = frame[3 * ((row * side + i) * width + column * side + j) + colour] / 127.5 - 1;
      return x;
    }

    // The learned grid of positions, stretched over the picture: corner to corner, linear between.
    addPositions(x, places, high, wide) {
      const table = this.of("pos_embed.weight"), n = this.config.hidden_size;
      const grid = Math.sqrt(this.config.num_position_embeddings);
      const between = (i, size) => {
        const at = (i * (grid - 1)) / Math.max(1, size - 1), low = Math.floor(at);
        return [[low, 1 - (at - low)], [Math.min(low + 1, grid - 1), at - low]];
      };
      places.forEach(([row, column], patch) => {
        for (const [y, down] of between(row, high))
          for (const [z, right] of between(column, wide))
            for (let i = 0; i < n; i++) x[patch * n + i] += down * right * table[(y * grid + z) * n + i];
      });
    }

    block(x, name, places) {
      const seen = this.linear(this.attention(this.norm(x, `${name}.norm1`), name, places), `${name}.attn.proj`);
      x = x.map((v, i) => v + seen[i]);
      const inner = this.linear(this.norm(x, `${name}.norm2`), `${name}.mlp.linear_fc1`).map(lab.geluTanh);
      const more = this.linear(inner, `${name}.mlp.linear_fc2`);
      return x.map((v, i) => v + more[i]);
    }

    // Every patch sees every other of its picture; half of a head turns with the row, half with the column.
    attention(x, name, places) {
      const { hidden_size: n, num_heads: heads, rope_parameters: { rope_theta: theta } } = this.config;
      const width = n / heads, rows = places.length, all = this.linear(x, `${name}.attn.qkv`);
      const part = (which) => {
        const made = new Float32Array(rows * n);
        for (let r = 0; r < rows; r++) made.set(all.subarray((3 * r + which) * n, (3 * r + which + 1) * n), r * n);
        return made;
      };
      const quarter = width / 4;
      const angle = (r, i) => places[r][i < quarter ? 0 : 1] / theta ** ((i % quarter) / quarter);
      const query = lab.rotate(part(0), rows, width, angle), key = lab.rotate(part(1), rows, width, angle);
      const value = part(2), y = new Float32Array(rows * n), weight = new Float64Array(rows);
      for (let from = 0; from < n; from += width)
        for (let r = 0; r < rows; r++) {
          for (let s = 0; s < rows; s++) {
            let dot = 0;
            for (let i = from; i < from + width; i++) dot += query[r * n + i] * key[s * n + i];
            weight[s] = dot / Math.sqrt(width);
          }
          lab.softmax(weight, rows);
          for (let s = 0; s < rows; s++)
            for (let i = from; i < from + width; i++) y[r * n + i] += weight[s] * value[s * n + i];
        }
      return y;
    }

    // Four patches that follow each other are one row here, and become one token.
    merged(x, name) {
      return this.linear(this.linear(x, `${name}.linear_fc1`).map(lab.gelu), `${name}.linear_fc2`);
    }
  }

  lab.Tower = Tower;
})();
