// The lookups of the mapping editor: what a rule asks other systems, and what was answered last.
document.addEventListener("alpine:init", () => {
  Alpine.data("lookup", () => ({
    failed: "", isAsking: false,

    get asksRecord() { return Boolean(this.row.from) && !this.row.from.includes("/"); },
    get isList() { return this.row.mode === "list"; },
    get known() { return this.row._answer; },
    get cannotTry() { return this.isAsking || this.hasNoSample || !this.known?.asked.length; },
    get found() { return this.known?.records || []; },
    get hasRecords() { return this.found.length > 0; },
    get records() { return JSON.stringify(this.isList ? this.found : this.found[0], null, 2) || ""; },
    get standing() {
      if (this.isAsking) return "Asking…";
      if (this.hasNoSample || !this.known) return "";
      if (!this.known.asked.length) return this.row._problems.length ? "" : "This message lacks what it asks by: nothing is asked.";
      if (this.known.records === null) return "Not asked yet about this message. Nobody is asked while you type.";
      const number = this.found.length === 1 ? "1 record" : `${this.found.length} records`;
      return `${number} in the latest answer, read as lookups.${this.row.name}.`;
    },
    addCriterion() {
      this.row._criteria.push({ _id: EditorModel.id(), attribute: "", template: "" });
      const root = this.$root;
      this.$nextTick(() => [...root.querySelectorAll(".oi-editor-condition")].at(-1).querySelector("input").focus());
      this.changed();
    },
    drop() { this.doc.lookups.splice(this.doc.lookups.indexOf(this.row), 1); this.changed(); },
    async tryIt() {
      this.isAsking = true;
      const rule = EditorModel.document(this.doc, this.operators);
      const answer = await this.send(this.urls.lookup, { rule, sample: this.sample, place: this.row._place });
      this.isAsking = false;
      this.failed = answer?.problem || "";
      if (answer) this.preview();
    },
  }));
  Alpine.data("criterion", () => ({
    get at() { return this.row._criteria.indexOf(this.one); },
    get actual() {
      const text = this.row._answer?.asked[this.at]?.[1];
      return text === undefined ? "" : `is ${text}`;
    },
    drop() { this.row._criteria.splice(this.at, 1); this.changed(); },
  }));
});
