// What the reader sees and touches, once the model is there.
"use strict";
(() => {
  const lab = (globalThis.coreheadLab ??= {});
  const KINDS = { scene: "Scenes", document: "Documents", clip: "Clips", text: "Texts", own: "Your own" };
  const two = (x) => x.toFixed(2);

  const shuffled = (list) => {
    const made = [...list];
    for (let i = made.length - 1; i > 0; i--) {
      const j = Math.floor(Math.random() * (i + 1));
      [made[i], made[j]] = [made[j], made[i]];
    }
    return made;
  };

  class View {
    constructor(root, engine) {
      Object.assign(this, { root, engine, off: new Set(), pinned: engine.top[0], passing: null });
      this.name = `lab${(lab.views = (lab.views ?? 0) + 1)}`; // radio buttons of two labs must not be one group
      const part = (parent, tag, className, attributes = {}) => lab.add(parent, tag, { class: className, ...attributes });
      this.choice = part(root, "div", "choice");
      const bench = part(root, "div", "bench");
      const left = part(bench, "div", "left"), right = part(bench, "div", "right");
      this.answer = part(right, "p", "answer", { role: "status" });
      this.bars = part(right, "div", "bars", { role: "img" });
      this.presets(part(right, "div", "presets"));
      part(right, "p", "hint").textContent = "Click a head to switch it off or on. Point at it, or walk with the arrow keys, to see where it looks.";
      this.map = new lab.HeadMap(part(right, "div", "map"), engine.layers, engine.heads,
        (number) => this.toggle(number), (number, pin) => this.lookAt(number, pin));
      this.legend = part(right, "p", "legend");
      this.look = new lab.Look(part(left, "div", "media"), part(left, "p", "words"));
      this.told = part(left, "p", "told");
      const label = part(left, "label", "stretch");
      this.stretch = lab.add(label, "input", { type: "checkbox" });
      label.append(" brightest where this head looks most");
      this.stretch.addEventListener("change", () => this.paintLook());
    }

    async begin() {
      const { engine, choice } = this;
      await Promise.all(engine.data.pictures.map((picture) => engine.frames(picture)));
      const kinds = this.radios(choice, "Kind of evidence", "kinds", Object.entries(KINDS), (kind) => this.offer(kind));
      this.shelf = lab.add(choice, "div");
      const label = lab.add(choice, "label", { class: "question" }, "Question ");
      this.question = lab.add(label, "select");
      this.question.addEventListener("change", () => this.ask());
      kinds[0].checked = true;
      await this.offer("scene");
    }

    // A group of radio buttons; options: [value, text or a function that fills the label].
    radios(parent, title, className, options, chosen) {
      const group = lab.add(parent, "fieldset", { class: className });
      lab.add(group, "legend", {}, title);
      return options.map(([value, text]) => {
        const label = lab.add(group, "label");
        const input = lab.add(label, "input", { type: "radio", name: `${this.name}-${className}`, value });
        if (typeof text === "string") lab.add(label, "span", {}, text);
        else text(label);
        input.addEventListener("change", () => chosen(value));
        return input;
      });
    }

    // The pictures of one kind, or an easel for one's own.
    async offer(kind) {
      if (kind === "own") return this.draw();
      const mine = this.engine.data.pictures.filter((picture) => picture.kind === kind);
      const thumbnail = (picture, i) => (label) => {
        const fullest = picture.frames.map((f) => f.reduce((n, v, i) => n + (v !== f[i % 3]), 0)); // clips have empty frames
        const shown = kind === "clip" ? fullest.indexOf(Math.max(...fullest)) : 0;
        if (!picture.sizes.length) lab.add(label, "span", { class: "page", "aria-hidden": "true" }, picture.questions[0].words
          .map(([text]) => text).join("").slice(0, 90));
        else lab.add(label, "img", { alt: "", src: lab.address(picture.frames[shown], ...picture.sizes[shown]) });
        lab.add(label, "span", { class: "unseen" }, `${kind} ${i + 1}, it shows ${picture.shown}`);
      };
      this.shelf.replaceChildren();
      const inputs = this.radios(this.shelf, "Picture", "shelf", mine.map((p, i) => [String(i), thumbnail(p, i)]),
        (value) => this.take(mine[Number(value)]));
      inputs[0].checked = true;
      return this.take(mine[0]);
    }

    async draw() {
      this.easel ??= await lab.Easel.from(this.engine.data.easel);
      this.shelf.replaceChildren();
      const root = lab.add(this.shelf, "div");
      new lab.EaselView(root, this.easel, (picture) => this.take(picture));
    }

    // A question that is asked already is asked of the new picture, too, if it has it.
    take(picture) {
      const before = this.question.selectedOptions[0]?.text;
      this.picture = picture;
      this.question.replaceChildren(...picture.questions.map((q, i) => new Option(q.text, i)));
      this.question.selectedIndex = Math.max(0, picture.questions.findIndex((q) => q.text === before));
      return this.ask();
    }

    async ask() {
      const question = (this.asked = this.picture.questions[Number(this.question.value)]);
      const prompt = await this.engine.prompt(this.picture, question);
      if (question !== this.asked) return; // the reader was faster
      this.prompt = prompt;
      // shown on the map: attention to the evidence, or where a question has none, to all that is shown
      const text = question.words.filter(([, place]) => place >= 0).map(([, place]) => place);
      this.source = [...prompt.visual, ...text];
      this.goal = question.targets.length ? question.targets : this.source;
      this.whole = this.engine.model.run(prompt, new Set());
      this.top = Math.max(...this.masses(this.whole, this.goal));
      this.brightest = Math.max(...this.whole.looks.flatMap((look) => this.source.map((t) => {
        let most = 0;
        for (let h = 0; h < this.engine.heads; h++) most = Math.max(most, look[h * prompt.tokens + t]);
        return most;
      })));
      this.look.show(this.picture, question, prompt.visual, this.engine.cell);
      this.run();
    }

    // (layers * heads): the attention that each head's last token gives to `places`.
    masses(result, places) {
      const { layers, heads } = this.engine;
      return Array.from({ length: layers * heads }, (_, n) =>
        lab.mass(result.looks[Math.floor(n / heads)], n % heads, this.prompt.tokens, places));
    }

    run() {
      const began = performance.now();
      const result = this.engine.model.run(this.prompt, this.off);
      this.root.dataset.milliseconds = (performance.now() - began).toFixed(1);
      this.result = { ...result, looks: [...result.looks] };
      this.paintAnswer();
      this.paintMap();
      this.paintLook();
    }

    toggle(number) {
      this.off.has(number) ? this.off.delete(number) : this.off.add(number);
      this.pinned = number;
      this.passing = null;
      this.run();
    }

    lookAt(number, pin = false) {
      this.passing = pin ? null : number;
      if (pin) this.pinned = number;
      this.paintLook();
      this.paintMap();
    }

    presets(root) {
      const { top, data } = this.engine, label = lab.add(root, "label", {}, "Switch off the top ");
      const count = lab.add(label, "input", { type: "number", min: 1, max: top.length, value: data.shares[0][1] });
      const silence = (heads) => {
        this.off = new Set(heads);
        this.run();
      };
      const button = (text, heads) =>
        lab.add(root, "button", { type: "button" }, text).addEventListener("click", () => silence(heads()));
      // the field says how many, whichever heads they are
      const many = (chosen = count.value) => (count.value = Math.max(1, Math.min(top.length, Math.round(Number(chosen)) || 1)));
      count.addEventListener("change", () => silence(top.slice(0, many())));
      for (const [share, number] of data.shares) button(`the top ${share} %`, () => top.slice(0, many(number)));
      button("others of the same layers", () => this.others(top.slice(0, many())));
      button("the lowest", () => top.slice(-many()));
      button("none: all on", () => []);
    }

    // As many heads of every layer as `chosen` has there, drawn from the layer's others, as far as there are any.
    others(chosen) {
      const { layers, heads } = this.engine, taken = new Set(chosen);
      return Array.from({ length: layers }, (_, layer) => {
        const all = Array.from({ length: heads }, (_, head) => layer * heads + head);
        return shuffled(all.filter((n) => !taken.has(n))).slice(0, all.filter((n) => taken.has(n)).length);
      }).flat();
    }

    paintAnswer() {
      const { options, answer } = this.asked, chances = (result) => options.map(([, token]) => result.probabilities[token]);
      const now = chances(this.result), before = chances(this.whole), rest = (p) => 1 - p.reduce((a, b) => a + b, 0);
      const rows = [...options.map(([text], i) => [text, now[i], before[i]]), ["else", rest(now), rest(before)]];
      const [said, sure] = rows.reduce((best, row) => (row[1] > best[1] ? row : best));
      const right = rows.find(([text]) => text === answer);
      const heads = this.off.size ? `${this.off.size} of ${this.engine.top.length} heads off` : "All heads on";
      const verdict = said === answer ? "right." : `wrong: it is ${answer} (${two(right[1])}).`;
      this.answer.textContent = `${heads}: the model says ${said === "else" ? "something else" : said} (${two(sure)}), ${verdict}`;
      this.answer.classList.toggle("wrong", said !== answer);
      this.bars.setAttribute("aria-label", `Probabilities: ${rows.map(([text, p]) => `${text} ${two(p)}`).join(", ")}`);
      this.bars.replaceChildren();
      for (const [text, p, was] of rows) {
        const column = lab.add(this.bars, "div", { class: text === answer ? "bar gold" : "bar", style: `--p:${p};--was:${was}` });
        lab.add(column, "b", {}, p >= 0.005 ? two(p).replace(/^0/, "") : "");
        lab.add(column, "i", { class: Math.abs(p - was) > 0.01 ? "moved" : "" });
        lab.add(column, "span", {}, text);
      }
    }

    paintMap() {
      const { top, data } = this.engine, [share, number] = data.shares[0], framed = new Set(top.slice(0, number));
      this.map.paint(this.masses(this.result, this.goal), this.top, this.off, framed, this.passing ?? this.pinned);
      const what = this.asked.targets.length ? "RAM: attention to the evidence" : "attention to all that is shown";
      this.legend.textContent = `The numbers are layers; each box is a head. Colour: ${what}, full at ${two(this.top)}. Framed: the top ` +
        `${share} %, the ${number} highest over ${data.ranked_on} other questions. Crossed: off.`;
    }

    paintLook() {
      const { heads, top, data } = this.engine, { tokens } = this.prompt, number = this.passing ?? this.pinned;
      const layer = Math.floor(number / heads), head = number % heads, look = this.result.looks[layer];
      const weight = look.subarray(head * tokens, (head + 1) * tokens);
      const strongest = this.source.reduce((most, t) => Math.max(most, weight[t]), 1e-9);
      this.look.paint(weight, this.stretch.checked ? strongest : this.brightest);
      const on = (places) => lab.mass(look, head, tokens, places);
      const here = this.asked.targets.length
        ? `${two(on(this.asked.targets))} of its attention is on the evidence, ${two(on(this.source))} on all that is shown`
        : `${two(on(this.source))} of its attention is on what is shown`;
      this.told.textContent = `Layer ${layer}, head ${head}${this.off.has(number) ? ", off" : ""}: ${here}, seen from the last ` +
        `token. Rank ${top.indexOf(number) + 1} of ${top.length}, mean RAM ${two(data.ram[layer][head])}.`;
    }
  }

  lab.View = View;
})();
