// The dialog in which a translation table is edited beside the mapping that uses it.
document.addEventListener("alpine:init", () => {
  Alpine.data("table", () => ({
    name: "", isNew: false, row: null, unmapped: "hold", otherwise: "", inputs: [], outputs: [],
    lines: [], gaps: [], problems: [], used: 0, address: "", isDirty: false,

    get heading() { return this.isNew ? "New translation table" : `Table ${this.name}`; },
    get usedWord() { return this.isNew ? "" : `used by ${this.used} ${this.used === 1 ? "rule" : "rules"}`; },
    get usesDefault() { return this.unmapped === "default"; },
    get columns() { return this.inputs.length ? [...this.inputs, ...this.outputs.map((name) => `→ ${name}`)] : ["What comes in", "What goes out"]; },
    get hasGaps() { return this.gaps.length > 0; },
    get isSaved() { return !this.isDirty; },
    get saveWord() { return this.isDirty ? "Save table" : "Saved"; },
    get effect() { return this.used > 0 && this.isDirty ? `Counts at once for ${this.used} ${this.used === 1 ? "rule" : "rules"}, published ones too.` : ""; },

    open(event) {
      this.row = event.detail.row;
      this.isNew = !this.row.table;
      this.name = this.row.table;
      const given = this.tables[this.name] || { ...this.defaults.table, rows: [], used: 0 };
      Object.assign(this, {
        unmapped: given.unmapped, otherwise: given.default, inputs: given.inputs, outputs: given.outputs, used: given.used, address: given.url || "",
        lines: given.rows.map((one) => this.line(Array.isArray(one) ? one : [...one.from, ...one.to])),
        gaps: [], problems: [], isDirty: false,
      });
      if (!this.lines.length) this.lines.push(this.line([]));
      this.$root.showModal();
      if (!this.isNew) this.look();
    },
    close() { this.$root.close(); },
    line(texts) {
      return { _id: EditorModel.id(), cells: this.columns.map((column, at) => ({ _id: at, column, text: texts[at] ?? "" })) };
    },
    add() {
      this.lines.push(this.line([]));
      this.$nextTick(() => [...this.$root.querySelectorAll(".oi-editor-cell-row")].at(-1).querySelector("input").focus());
    },
    fit(value) { this.lines.push(this.line([value])); this.gaps = this.gaps.filter((one) => one !== value); this.edited(); },
    edited() { this.isDirty = true; this.withTable(this.name, this.written()); },
    paste(event) {
      const text = event.clipboardData.getData("text/plain");
      if (!/[\t\n]/.test(text.trim())) return;
      event.preventDefault();
      const rows = text.replace(/\r/g, "").split("\n").filter((line) => line.trim()).map((line) => line.split("\t").map((cell) => cell.trim()));
      this.lines = this.lines.filter((line) => line.cells.some((cell) => cell.text));
      this.lines.push(...rows.map((row) => this.line(row)));
      this.edited();
      this.say(`${rows.length} rows pasted.`);
    },
    written() {
      const filled = this.lines.filter((line) => line.cells.some((cell) => cell.text.trim()));
      const cells = filled.map((line) => line.cells.map((cell) => cell.text));
      const wide = this.inputs.length;
      return {
        unmapped: this.unmapped, default: this.otherwise, inputs: this.inputs, outputs: this.outputs,
        rows: wide ? cells.map((row) => ({ from: row.slice(0, wide), to: row.slice(wide) })) : cells,
      };
    },
    async look() {
      if (!this.row.source || this.inputs.length) return;
      const asked = new URLSearchParams({ path: this.row.source, table: this.name });
      const answer = await fetch(`${this.urls.unmapped}?${asked}`).catch(() => null);
      if (answer?.ok) this.gaps = (await answer.json()).values;
    },
    async save() {
      if (!this.name.trim()) { this.problems = ["Give the table a name."]; return; }
      if (this.isNew && this.name in this.tables) { this.problems = ["There is a table of that name. Choose it in the row, or take another name."]; return; }
      const answer = await this.send(this.urls.table, { table: { [this.name]: this.written() } });
      this.problems = answer?.saved ? [] : (answer?.problems || [{ sentence: "No answer. Try again." }]).map((one) => one.sentence);
      if (!answer?.saved) return;
      this.keepTable(this.name, { ...this.written(), used: this.used, url: this.address });
      this.row.table = this.name;
      this.isDirty = this.isNew = false;
      this.changed();
      this.close();
      this.say(`Table ${this.name} is saved.`);
    },
  }));
  Alpine.data("tableLine", () => ({
    drop() { this.lines.splice(this.lines.indexOf(this.line), 1); this.edited(); },
  }));
  Alpine.data("gap", () => ({ fill() { this.fit(this.value); } }));
});
