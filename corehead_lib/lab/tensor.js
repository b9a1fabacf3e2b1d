// Numbers: safetensors in float16, and the few functions that a transformer is made of.
// A matrix is a Float32Array, row by row; sums are taken in double precision, as JavaScript does.
"use strict";
(() => {
  const lab = (globalThis.coreheadLab ??= {});

  const bytes = (base64) => {
    const text = atob(base64), made = new Uint8Array(text.length);
    for (let i = 0; i < made.length; i++) made[i] = text.charCodeAt(i);
    return made;
  };

  // The bytes that zlib packed.
  const inflate = async (packed) => {
    const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  };

  const half = (h) => {
    const sign = h & 0x8000 ? -1 : 1, exponent = (h >> 10) & 31, fraction = h & 1023;
    if (exponent === 31) return fraction ? NaN : sign * Infinity;
    return sign * (exponent ? 2 ** (exponent - 15) * (1 + fraction / 1024) : 2 ** -14 * (fraction / 1024));
  };

  // A safetensors file: its length of header, the header (JSON), the data. Returns {name: Float32Array}.
  const safetensors = (file) => {
    const view = new DataView(file.buffer, file.byteOffset);
    const start = 8 + Number(view.getBigUint64(0, true));
    const header = JSON.parse(new TextDecoder().decode(file.subarray(8, start)));
    const halves = Float32Array.from({ length: 65536 }, (_, h) => half(h));
    const tensors = {};
    for (const [name, { dtype, data_offsets: [from, to] }] of Object.entries(header)) {
      if (name === "__metadata__") continue;
      if (dtype !== "F16") throw new Error(`${name} is ${dtype}: weights are F16 here`);
      const made = (tensors[name] = new Float32Array((to - from) / 2));
      for (let i = 0; i < made.length; i++) made[i] = halves[view.getUint16(start + from + 2 * i, true)];
    }
    return tensors;
  };

  // y = x W^T + b for x (rows, inner) and W (outer, inner), outer at least 4.
  // Two rows times four columns at once: what is read once is used often, which is four times as fast as three plain loops.
  const linear = (x, w, outer, bias) => {
    const inner = w.length / outer, rows = x.length / inner, last = rows - 1;
    const y = new Float32Array(rows * outer);
    for (let r = 0; r < rows; r += 2) {
      const a = r * inner, b = Math.min(r + 1, last) * inner; // an odd last row is worked out twice
      const yA = r * outer, yB = Math.min(r + 1, last) * outer;
      for (let at = 0; at < outer; at += 4) {
        const o = Math.min(at, outer - 4), w0 = o * inner, w1 = w0 + inner, w2 = w1 + inner, w3 = w2 + inner;
        let a0 = 0, a1 = 0, a2 = 0, a3 = 0, b0 = 0, b1 = 0, b2 = 0, b3 = 0;
        for (let i = 0; i < inner; i++) {
          const p = x[a + i], q = x[b + i], u0 = w[w0 + i], u1 = w[w1 + i], u2 = w[w2 + i], u3 = w[w3 + i];
          a0 += p * u0; a1 += p * u1; a2 += p * u2; a3 += p * u3;
          b0 += q * u0; b1 += q * u1; b2 += q * u2; b3 += q * u3;
        }
        y[yA + o] = a0; y[yA + o + 1] = a1; y[yA + o + 2] = a2; y[yA + o + 3] = a3;
        y[yB + o] = b0; y[yB + o + 1] = b1; y[yB + o + 2] = b2; y[yB + o + 3] = b3;
      }
    }
    for (let at = 0; bias && at < y.length; at += outer) for (let o = 0; o < outer; o++) y[at + o] += bias[o];
    return y;
  };

  // Each piece of weight.length numbers over its root mean square, times the weight.
  const rmsNorm = (x, weight, eps) => {
    const y = new Float32Array(x.length), n = weight.length;
    for (let at = 0; at < x.length; at += n) {
      let square = 0;
      for (let i = 0; i < n; i++) square += x[at + i] * x[at + i];
      const scale = 1 / Math.sqrt(square / n + eps);
      for (let i = 0; i < n; i++) y[at + i] = x[at + i] * scale * weight[i];
    }
    return y;
  };

  const layerNorm = (x, weight, bias, eps) => {
    const y = new Float32Array(x.length), n = weight.length;
    for (let at = 0; at < x.length; at += n) {
      let mean = 0, square = 0;
      for (let i = 0; i < n; i++) mean += x[at + i] / n;
      for (let i = 0; i < n; i++) square += (x[at + i] - mean) ** 2;
      const scale = 1 / Math.sqrt(square / n + eps);
      for (let i = 0; i < n; i++) y[at + i] = (x[at + i] - mean) * scale * weight[i] + bias[i];
    }
    return y;
  };

  // Softmax of the first n numbers, in place.
  const softmax = (x, n) => {
    let top = -Infinity, sum = 0;
    for (let i = 0; i < n; i++) if (x[i] > top) top = x[i];
    for (let i = 0; i < n; i++) sum += x[i] = Math.exp(x[i] - top);
    for (let i = 0; i < n; i++) x[i] /= sum;
    return x;
  };

  const silu = (x) => x / (1 + Math.exp(-x));
  const geluTanh = (x) => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)));
  // Abramowitz and Stegun, 7.1.26: wrong by 1.5e-7 at most.
  const erf = (x) => {
    const t = 1 / (1 + 0.3275911 * Math.abs(x));
    const sum = ((((1.061405429 * t - 1.453152027) * t + 1.421413741) * t - 0.284496736) * t + 0.254829592) * t;
    return Math.sign(x) * (1 - sum * Math.exp(-x * x));
  };
  const gelu = (x) => 0.5 * x * (1 + erf(x / Math.SQRT2));

  // Rotates pairs (i, i + half) of every head in x (rows, heads * width) by angle(row, i), in place.
  const rotate = (x, rows, width, angle) => {
    const across = x.length / rows, middle = width / 2;
    for (let r = 0; r < rows; r++)
      for (let i = 0; i < middle; i++) {
        const cos = Math.cos(angle(r, i)), sin = Math.sin(angle(r, i));
        for (let at = r * across + i; at < (r + 1) * across; at += width) {
          const one = x[at], other = x[at + middle];
          x[at] = one * cos - other * sin;
          x[at + middle] = other * cos + one * sin;
        }
      }
    return x;
  };

  Object.assign(lab, { bytes, inflate, safetensors, linear, rmsNorm, layerNorm, softmax, silu, geluTanh, gelu, rotate });
})();
