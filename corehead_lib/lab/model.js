// The language model of Qwen3-VL, one prompt at a time, with heads that can be switched off.
// After transformers' modeling_qwen3_vl.py: QK-norm, interleaved M-RoPE, grouped queries, DeepStack.
"use strict";
(() => {
  const lab = (globalThis.coreheadLab ??= {});

  // (time, row, column) of every token: text counts on, the cells of a picture share their time. `grids` has the
  // rows and columns of cells of each unbroken run of visual tokens.
  const positions = (ids, isVisual, grids) => {
    const made = [];
    let next = 0, run = 0;
    for (let t = 0; t < ids.length; ) {
      if (!isVisual(ids[t])) {
        made.push([next, next, next]);
        next++, t++;
        continue;
      }
      const [rows, columns] = grids[run++];
      for (let y = 0; y < rows; y++) for (let x = 0; x < columns; x++) made.push([next, next + y, next + x]);
      t += rows * columns;
      next += Math.max(rows, columns);
    }
    return made;
  };

  // Four sums at once in both of the next, as in lab.linear. Here: scores of one query with the keys before it.
  const scores = (weight, query, at, key, group, seen, width, stride) => {
    const scale = 1 / Math.sqrt(width);
    for (let s = 0; s < seen; s += 4) {
      const k0 = s * stride + group, k1 = k0 + stride, k2 = k1 + stride, k3 = k2 + stride;
      let a = 0, b = 0, c = 0, d = 0;
      for (let i = 0; i < width; i++) {
        const q = query[at + i];
        a += q * key[k0 + i]; b += q * key[k1 + i]; c += q * key[k2 + i]; d += q * key[k3 + i];
      }
      weight[s] = a * scale; weight[s + 1] = b * scale; weight[s + 2] = c * scale; weight[s + 3] = d * scale;
    }
  };

  // And here: the weighted sum of values, which stand in columns.
  const weigh = (y, at, weight, value, group, seen, width, T) => {
    for (let i = 0; i < width; i += 4) {
      const v0 = group + i * T, v1 = v0 + T, v2 = v1 + T, v3 = v2 + T;
      let a = 0, b = 0, c = 0, d = 0;
      for (let s = 0; s < seen; s++) {
        const p = weight[s];
        a += p * value[v0 + s]; b += p * value[v1 + s]; c += p * value[v2 + s]; d += p * value[v3 + s];
      }
      y[at + i] = a; y[at + i + 1] = b; y[at + i + 2] = c; y[at + i + 3] = d;
    }
  };

  const columns = (x, rows) => {
    const across = x.length / rows, y = new Float32Array(x.length);
    for (let r = 0; r < rows; r++) for (let i = 0; i < across; i++) y[i * rows + r] = x[r * across + i];
    return y;
  };

  class Model {
    constructor(weights, config) {
      this.config = config.text_config;
      this.ids = [config.image_token_id, config.video_token_id];
      this.of = (name) => weights[`model.language_model.${name}`];
      this.head = weights["lm_head.weight"] ?? this.of("embed_tokens.weight");
      this.isVisual = (id) => this.ids.includes(id);
    }

    // A prompt: token ids, [rows, columns] of each picture, and what the tower made of all its pictures. It remembers
    // what went into each layer, so that a change to a layer's heads costs that layer and the later ones only.
    prompt(ids, grids, features) {
      const n = this.config.hidden_size, table = this.of("embed_tokens.weight");
      const visual = ids.flatMap((id, t) => (this.isVisual(id) ? [t] : []));
      const x = new Float32Array(ids.length * n);
      ids.forEach((id, t) => x.set(table.subarray(id * n, (id + 1) * n), t * n));
      visual.forEach((t, i) => x.set(features[0].subarray(i * n, (i + 1) * n), t * n));
      return { tokens: ids.length, places: positions(ids, this.isVisual, grids), visual, features,
        entering: [x], looks: [], off: null };
    }

    // Run a prompt with the heads of `off` (numbers layer * heads + head) silent: their outputs are zero at every token.
    // Returns the probabilities of the next token, and in looks[layer][head * tokens + t] where the last token looks.
    run(prompt, off = new Set()) {
      const { num_hidden_layers: layers, num_attention_heads: heads } = this.config;
      const changed = (number) => off.has(number) !== prompt.off.has(number);
      let first = 0;
      if (prompt.off) {
        const all = Array.from({ length: layers * heads }, (_, number) => number);
        first = Math.min(layers - 1, Math.floor((all.find(changed) ?? layers * heads) / heads));
      }
      for (let layer = first; layer < layers; layer++) this.layer(prompt, layer, off);
      prompt.off = new Set(off);
      const end = lab.rmsNorm(prompt.entering[layers], this.of("norm.weight"), this.config.rms_norm_eps);
      const logits = lab.linear(end, this.head, this.config.vocab_size);
      return { probabilities: lab.softmax(Float64Array.from(logits), logits.length), looks: prompt.looks };
    }

    // One layer. Of the last one only the last token's row is needed.
    layer(prompt, layer, off) {
      const { hidden_size: n, rms_norm_eps: eps, num_hidden_layers: layers } = this.config;
      const of = (name) => this.of(`layers.${layer}.${name}.weight`);
      const from = layer === layers - 1 ? prompt.tokens - 1 : 0;
      const normed = lab.rmsNorm(prompt.entering[layer], of("input_layernorm"), eps);
      const x = prompt.entering[layer].slice(from * n);
      const add = (more) => { for (let i = 0; i < x.length; i++) x[i] += more[i]; };
      add(lab.linear(this.attention(prompt, layer, normed, from, off), of("self_attn.o_proj"), n));
      const inner = lab.rmsNorm(x, of("post_attention_layernorm"), eps);
      const width = of("mlp.gate_proj").length / n;
      const gate = lab.linear(inner, of("mlp.gate_proj"), width), up = lab.linear(inner, of("mlp.up_proj"), width);
      add(lab.linear(gate.map((v, i) => lab.silu(v) * up[i]), of("mlp.down_proj"), n));
      const deep = prompt.features[layer + 1];
      if (deep) prompt.visual.forEach((t, i) => {
        for (let k = 0; t >= from && k < n; k++) x[(t - from) * n + k] += deep[i * n + k];
      });
      prompt.entering[layer + 1] = x;
    }

    // Outputs of all heads for the rows from `from` on, (rows, heads * head_dim), before the output projection.
    attention(prompt, layer, x, from, off) {
      const { hidden_size: n, head_dim: width, num_attention_heads: heads, num_key_value_heads: groups } = this.config;
      const eps = this.config.rms_norm_eps, T = prompt.tokens, rows = T - from;
      const of = (name) => this.of(`layers.${layer}.self_attn.${name}.weight`);
      const angle = this.angles(prompt);
      const turned = (part, of_, count, skip) =>
        lab.rotate(lab.rmsNorm(part, of_, eps), count, width, (r, i) => angle[(r + skip) * (width / 2) + i]);
      const query = turned(lab.linear(x.subarray(from * n), of("q_proj"), heads * width), of("q_norm"), rows, from);
      const key = new Float32Array((T + 3) * groups * width); // `scores` reads on to a multiple of four
      key.set(turned(lab.linear(x, of("k_proj"), groups * width), of("k_norm"), T, 0));
      const value = columns(lab.linear(x, of("v_proj"), groups * width), T);
      const y = new Float32Array(rows * heads * width), weight = new Float64Array(T + 3);
      const look = (prompt.looks[layer] = new Float32Array(heads * T));
      for (let head = 0; head < heads; head++) {
        const group = Math.floor((head * groups) / heads) * width, silent = off.has(layer * heads + head);
        for (let r = silent ? rows - 1 : 0; r < rows; r++) {
          const at = (r * heads + head) * width, seen = from + r + 1; // a token sees itself and all before
          scores(weight, query, at, key, group, seen, width, groups * width);
          lab.softmax(weight, seen);
          if (r === rows - 1) look.set(weight.subarray(0, T), head * T);
          if (!silent) weigh(y, at, weight, value, group * T, seen, width, T);
        }
      }
      return y;
    }

    // (tokens, head_dim / 2): by how much each pair turns. Time, row and column take turns at the fast frequencies.
    angles(prompt) {
      if (prompt.angles) return prompt.angles;
      const { head_dim: width, rope_parameters: { rope_theta: theta, mrope_section: section } } = this.config;
      const axis = (i) => (i % 3 && i < 3 * section[i % 3] ? i % 3 : 0);
      const made = prompt.places.map((place) =>
        Array.from({ length: width / 2 }, (_, i) => place[axis(i)] / theta ** ((2 * i) / width)));
      return (prompt.angles = Float64Array.from(made.flat()));
    }
  }

  Object.assign(lab, { Model, positions });
})();
